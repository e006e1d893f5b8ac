"""The application's pages: the shop, its health, and what loads the container it runs in."""

import random
import sys
import time
from collections.abc import Callable

from flask import Flask, Response, jsonify, request

from demo.app.bounds import AskedTooMuchError, Bounds, FullError, Slots, number, whole_number
from demo.app.faults import Faults, say
from demo.app.load import Memory, burn
from demo.app.stock import Stock, StockError

NAME = "sitemedic-demo"
"""What /health calls the application: nothing else is ever put under load."""
MARKER = "Welcome to the demo shop"
_TRY_AGAIN = 1  # seconds, told to whom is refused

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Demo shop</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:36em;
margin:4em auto;padding:0 1em;color:#222}}</style>
<h1>{heading}</h1>
<p>{text}</p>
</html>
"""
_WRONG = ("Index of /", "This folder is empty.")
_BAD = ("500 Internal Server Error", "The shop has lost its database.")


def make_app(stock: Stock, faults: Faults | None = None, bounds: Bounds | None = None) -> Flask:
    """Return the application; over a bound it answers 400 or 429 and says what is allowed."""
    app = Flask(__name__, static_folder=None)
    bounds = bounds or Bounds()
    _break_it(app, faults or Faults())
    failing = Failing()
    _add_pages(app, stock, failing)
    _add_load(app, stock, bounds, failing)
    _add_refusals(app)
    return app


def _break_it(app: Flask, faults: Faults) -> None:
    @app.before_request
    def broken() -> Response | None:
        if faults.fault == "slow":
            time.sleep(faults.slow_seconds)
        if faults.fault == "bad-response":
            return _lost_database()
        if faults.fault == "wrong-content" and request.path == "/":
            return _page(*_WRONG)
        return None

    @app.after_request
    def log(response: Response) -> Response:
        path = request.full_path.rstrip("?")
        say(f'"{request.method} {path} {request.environ.get("SERVER_PROTOCOL")}" {response.status_code} -')
        response.headers["Cache-Control"] = "no-store"
        return response


def _add_pages(app: Flask, stock: Stock, failing: "Failing") -> None:
    @app.get("/")
    def shop() -> Response:
        if failing.now():
            return _lost_database()
        shown = ", ".join(stock.shown())
        return _page(MARKER, f"{shown} are in stock. Sitemedic keeps this shop open.")

    @app.get("/health")
    def health() -> tuple[Response, int]:
        try:
            stock.ping()
        except StockError as error:
            return jsonify(app=NAME, status="failing", database=stock.kind, error=str(error)), 503
        return jsonify(app=NAME, status="ok", database=stock.kind), 200


def _add_load(app: Flask, stock: Stock, bounds: Bounds, failing: "Failing") -> None:
    burners = Slots(bounds.burners, "requests that burn CPU")
    querying = Slots(bounds.database_requests, "requests that load the database")
    waiting = Slots(bounds.slow_requests, "slow requests")
    memory = Memory(bounds.memory_mb_held)

    def cpu() -> Response:
        seconds = _number("seconds", bounds.cpu_seconds)
        with burners.one():
            return jsonify(seconds=seconds, pieces=burn(seconds))

    def hold() -> Response:
        megabytes = whole_number("mb", request.args.get("mb"), bounds.memory_mb)
        seconds = _number("seconds", bounds.memory_seconds)
        return jsonify(mb=megabytes, seconds=seconds, mb_held=memory.hold(megabytes, seconds))

    def database() -> Response:
        queries = whole_number("queries", request.args.get("queries"), bounds.queries)
        with querying.one():
            return jsonify(queries=stock.load(queries, bounds.database_seconds))

    def slow() -> Response:
        seconds = _number("seconds", bounds.slow_seconds)
        with waiting.one():
            time.sleep(seconds)
            return jsonify(seconds=seconds)

    def errors() -> tuple[Response, int]:
        rate = _number("rate", 1.0)
        if "seconds" in request.args:
            failing.from_now(rate, _number("seconds", bounds.error_seconds))
        failed = random.random() < rate
        return jsonify(rate=rate, failed=failed), 500 if failed else 200

    views: tuple[Callable[[], Response | tuple[Response, int]], ...] = (cpu, database, slow, errors)
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    app.add_url_rule("/memory", view_func=hold)


def _add_refusals(app: Flask) -> None:
    @app.errorhandler(AskedTooMuchError)
    def too_much(error: AskedTooMuchError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.errorhandler(FullError)
    def full(error: FullError) -> tuple[Response, int, dict[str, str]]:
        return jsonify(error=str(error)), 429, {"Retry-After": str(_TRY_AGAIN)}

    @app.errorhandler(StockError)
    def lost(error: StockError) -> Response:
        say(str(error), sys.stderr)
        return _lost_database()


class Failing:
    """The share of the shop's first page that fails, until a time; a restart ends it at once."""

    def __init__(self) -> None:
        self._rate, self._until = 0.0, 0.0

    def from_now(self, rate: float, seconds: float) -> None:
        """Fail at this rate for so long, in place of what was before."""
        self._rate, self._until = rate, time.monotonic() + seconds

    def now(self) -> bool:
        """Tell whether the page that is asked for now fails."""
        return time.monotonic() < self._until and random.random() < self._rate


def _number(name: str, most: float) -> float:
    return number(name, request.args.get(name), most)


def _lost_database() -> Response:
    say(f"ERROR {request.path}: connection to the database lost", sys.stderr)
    response = _page(*_BAD)
    response.status_code = 500
    return response


def _page(heading: str, text: str) -> Response:
    return Response(_PAGE.format(heading=heading, text=text), content_type="text/html; charset=utf-8")
