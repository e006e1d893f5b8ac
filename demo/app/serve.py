"""Serve the application under waitress: the container's one process."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import FrameType

import waitress

from core.faults import ConfigError
from core.secrets import Secret, from_environment
from demo.app.bounds import Bounds
from demo.app.faults import Faults, say
from demo.app.pages import make_app
from demo.app.stock import Stock, StockError

DATABASE = "DEMO_DATABASE_URL"
"""The variable with the database's URL; with _FILE behind it, the file that holds it."""
_HUNG_UP_AFTER = 30  # seconds in which a visitor says nothing


def serve(host: str, port: int, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM; return 1 where the port or the database's URL is not to be had."""
    bounds, faults = Bounds(), Faults()
    try:
        stock = Stock(database_url(environ).reveal())
        server = waitress.create_server(
            make_app(stock, faults, bounds),
            host=host,
            port=port,
            threads=bounds.threads,
            channel_timeout=_HUNG_UP_AFTER,
            ident="demo-shop",
        )
    except (ConfigError, StockError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on {host}:{port}: {error.strerror}")
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    Thread(target=faults.obey, args=(sys.stdin,), name="faults", daemon=True).start()
    say(f"shop is open on {host}:{port}, with {stock.kind}")
    server.run()
    return 0


def database_url(environ: Mapping[str, str]) -> Secret:
    """Return the database that is named, else an SQLite file in the current folder. Raises ConfigError."""
    return from_environment(DATABASE, environ) or Secret(f"sqlite:///{Path.cwd() / 'shop.db'}")


def _fail(message: str) -> int:
    say(message, sys.stderr)
    return 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    say("shop closes")
    os._exit(0)
