"""How a database is opened: everything that is SQLite's alone is in this file.

The driver's errors are mapped here, once: what a retry may mend is StoreError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from remediator.errors import StoreError, StoreUnusableError

BUSY_TIMEOUT = 0.3
"""Seconds that one statement waits for a lock: short, so that a locked database is a 503 and not a hang."""


def open_engine(url: str, busy_timeout: float = BUSY_TIMEOUT) -> Engine:
    """Open the database at `url` lazily; raise StoreUnusableError for a URL that names none."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, busy_timeout)
        return create_engine(parsed, pool_pre_ping=True, pool_timeout=busy_timeout)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreUnusableError(f"cannot use {url.partition('://')[0]!r} as storage: {error}") from error


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
        raise StoreError(f"the database cannot be used now: {error.orig}") from error


def _sqlite(url: URL, busy_timeout: float) -> Engine:
    if url.database and url.database != ":memory:":
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
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once in a writing transaction: a late upgrade of the lock cannot wait."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
