"""How a database is opened: everything that is one database's alone is here and in store_postgres.

The driver's errors are mapped here, once: what a retry may mend is StoreError.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from remediator.errors import StoreError, StoreUnusableError
from remediator.store import postgres as store_postgres
from remediator.store.own_file import watch_file

BUSY_TIMEOUT = 0.3
"""Seconds that one statement waits for a lock: short, so that a locked database is a 503 and not a hang."""

_MENDS = {
    "readonly database": "is its disk mounted read-only? `findmnt -T` and the kernel's log tell",
    "unable to open": "is there room, and an inode, for the two files beside it? `df -h`, `df -i`",
    "is full": "free its disk: `df -h`",
    "disk I/O error": "its disk fails, or is full or read-only: the kernel's log tells, and `df -h`",
}
"""What to do, by what SQLite says; once it is done, work goes on by itself."""

CHECKPOINT_AT = 16_000
"""Pages (of 4 KB) in SQLite's log at which a commit has to put them in their place; see `checkpoint`."""


def open_engine(url: str, busy_timeout: float = BUSY_TIMEOUT, guest: bool = False) -> Engine:
    """Open the database at `url` lazily, as the one it belongs to or as a `guest` beside that one.

    Raises StoreUnusableError for a URL that names none.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, busy_timeout, guest)
        if parsed.drivername in store_postgres.NAMES:
            return store_postgres.open_engine(parsed, busy_timeout)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreUnusableError(f"cannot use {url.partition('://')[0]!r} as storage: {error}") from error
    raise StoreUnusableError(
        f"cannot use {parsed.drivername!r} as storage: sqlite:///FILE or postgresql://HOST/DATABASE"
    )


def is_shared(engine: Engine) -> bool:
    """Tell whether several remediators may work with this database at once."""
    return engine.dialect.name == "postgresql"


@contextmanager
def reading(engine: Engine, seconds: float) -> Iterator[Connection]:
    """Open a transaction that reads one consistent state within some seconds, or raises StoreError."""
    with mapped(), store_postgres.within(seconds), engine.connect() as connection:
        if is_shared(engine):
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine, seconds: float, lasting: bool = True) -> Iterator[Connection]:
    """Open a transaction that no other one of any process writes beside, or raise StoreError.

    SQLite need not wait for the disk where it need not be `lasting`: what is committed after it, and has
    reached the disk, has taken it along.
    """
    with mapped(), store_postgres.within(seconds), engine.connect() as connection:
        connection.execution_options(writes=True, lasting=lasting)
        with connection.begin():
            yield connection


def checkpoint(engine: Engine) -> None:
    """Put what SQLite's log holds in its place, beside writers: no notification has to wait for it."""
    if is_shared(engine):
        return
    with mapped(), engine.connect() as connection:
        driver = connection.connection.cursor()  # without a transaction, which would forbid it
        try:
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise StoreError(f"the database cannot be used now: {error}") from error
        finally:
            driver.close()


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the driver's errors into ours; IntegrityError passes, it is an answer."""
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as error:
        raise StoreError("all connections to the database are busy") from error
    except DBAPIError as error:
        raise StoreError(f"the database cannot be used now: {_first_line(error)}") from error


def _first_line(error: DBAPIError) -> str:
    """Return what the driver says, without the statement and its values; and what to do where we know it."""
    said = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    mend = next((mend for words, mend in _MENDS.items() if words in said), None)
    return said if mend is None or not isinstance(error.orig, sqlite3.Error) else f"{said} ({mend})"


def _sqlite(url: URL, busy_timeout: float, guest: bool) -> Engine:
    there = url.database and url.database != ":memory:"
    if url.database and there:
        _make_private(Path(url.database))
    engine = create_engine(
        url,
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
        pool_size=8,
        max_overflow=24,
        pool_timeout=busy_timeout,
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _leave_what_is_broken)
    if url.database and there:
        watch_file(engine, Path(url.database), guest)
    return engine


def _make_private(path: Path) -> None:
    """Create the file for its owner alone, since evidence holds log lines."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreUnusableError(
            f"cannot write the database {path}: {error.strerror}; give a writable --storage.url"
        ) from error


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_AT}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once in a writing transaction: a late upgrade of the lock cannot wait."""
    options = connection.get_execution_options()
    writes, wanted = options.get("writes", False), "FULL" if options.get("lasting", True) else "NORMAL"
    if writes and connection.info.get("synchronous", "FULL") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")  # in a transaction it is too late
        connection.info["synchronous"] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _leave_what_is_broken(context: ExceptionContext) -> None:
    """Open the file anew after a fault of the disk: a connection that found it read-only stays so."""
    said = str(context.original_exception)
    if any(word in said for word in ("readonly", "disk I/O", "unable to open", "malformed")):
        context.is_disconnect = True
