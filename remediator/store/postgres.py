"""PostgreSQL: several remediators on one database, and no wait for it that has no end.

One transaction writes at a time, of whichever process, as in SQLite: an advisory lock is taken first, so that
every statement after it sees all that was written before. What reads sees one snapshot.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen, PQGenConn
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL

T = TypeVar("T")
R = TypeVar("R")
NAMES = ("postgresql", "postgres", "postgresql+psycopg")
WRITER_LOCK = 5_817_404_211_931_064
"""The advisory lock's number: any, as long as nobody else uses it in this database."""
AWAY_AFTER = 3.0
"""Seconds after which the server ends a transaction whose remediator says nothing, and frees its lock."""
ONE_STATEMENT = 10.0
NO_BOUND = 30.0
"""Seconds that one answer may take outside of any `within`."""
_TICK = 0.05
_LIMITS = {
    "statement_timeout": f"{ONE_STATEMENT:.0f}s",
    "idle_in_transaction_session_timeout": f"{AWAY_AFTER:.0f}s",
    "TimeZone": "UTC",
}
_KEEPALIVE = {
    "keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3", "tcp_user_timeout": "5000"
}  # fmt: skip
_bound = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let every wait of this thread for PostgreSQL end within some seconds; an outer bound stays."""
    outer = _until()
    _bound.until = min(outer, time.monotonic() + seconds)
    try:
        yield
    finally:
        _bound.until = outer


def open_engine(url: URL, busy_timeout: float) -> Engine:
    """Open a database lazily; nothing is connected yet."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        pool_timeout=busy_timeout,
    )
    event.listen(engine, "do_connect", partial(_connect, busy_timeout))
    event.listen(engine, "begin", _begin)
    return engine


def database_time(connection: Connection) -> float:
    """Return the database's own clock in unix seconds."""
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


class Bounded(psycopg.Connection[Any]):
    """A connection whose waits end: past its bound it is closed, since its state is not known any more."""

    def wait(self, gen: PQGen[R], interval: float = _TICK, timeout: float | None = None) -> R:
        """Wait for an answer as psycopg does, but no longer than the thread's bound."""
        until = min(_until(), time.monotonic() + NO_BOUND)
        try:
            return super().wait(_ending(gen, until), min(interval, _TICK), timeout)
        except _NoAnswerError:
            self.close()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Any]:
        return _ending(super()._connect_gen(conninfo), min(_until(), time.monotonic() + NO_BOUND))


class _NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time."""


class _CleanText(StrDumper):
    """PostgreSQL's texts hold no NUL, and what servers and alerts say may."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _ending(steps: Generator[T, Any, R], until: float) -> Generator[T, Any, R]:
    """Run a generator of waits on, until it has waited in vain past the time."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= until:
                raise _NoAnswerError("the database does not answer")
            wanted = steps.send(ready)
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()


def _until() -> float:
    return float(getattr(_bound, "until", math.inf))


def _connect(
    busy_timeout: float, _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
) -> Bounded:
    """Connect with limits for everything that could hang, at the server and on the way to it."""
    given = {**_KEEPALIVE, **options}
    if "hostaddr" not in given and "," not in str(given.get("host", "")):
        given |= _address(given.get("host"), given.get("port"))
    connection = Bounded.connect(*arguments, **given)
    connection.adapters.register_dumper(str, _CleanText)
    limits = {**_LIMITS, "lock_timeout": f"{busy_timeout * 1000:.0f}ms"}
    asked = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in limits.items())
    durable = "set_config('synchronous_commit', 'on', false)"
    unless = "current_setting('synchronous_commit') = 'off'"
    connection.execute(f"SELECT {asked}, CASE WHEN {unless} THEN {durable} END".encode())
    connection.commit()
    return connection


def _address(host: str | None, port: object) -> dict[str, str]:
    """Look a host's address up without waiting for a resolver longer than the bound allows."""
    if not host or host.startswith(("/", "@")):
        return {}
    found: list[str] = []

    def look() -> None:
        try:
            answers = socket.getaddrinfo(host, int(str(port or 5432)), type=socket.SOCK_STREAM)
        except OSError:
            return
        found.append(str(answers[0][4][0]))

    thread = threading.Thread(target=look, name="resolve", daemon=True)
    thread.start()
    thread.join(max(0.0, min(_until() - time.monotonic(), NO_BOUND)))
    if not found:
        raise psycopg.OperationalError(f"the address of {host} cannot be found now")
    return {"hostaddr": found[0]}


def _begin(connection: Connection) -> None:
    """Let one transaction write at a time; the lock ends with the transaction, once that can be seen."""
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
