"""The remediator's database from the lab's side: locked for a while, and read at the end."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import create_engine, select
from sqlalchemy.engine import URL, make_url

from remediator.store.schema import ATTEMPTS, INCIDENTS, METADATA, NOTIFICATIONS


@dataclass(frozen=True)
class Book:
    """What the remediator wrote down: rows, and the notifications by their body's digest."""

    incidents: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    notifications: Counter[str]


def is_sqlite(url: str) -> bool:
    """Tell whether a URL names an SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def _driver(url: str) -> URL:
    """Name the driver that there is."""
    return make_url(url) if is_sqlite(url) else make_url(url).set(drivername="postgresql+psycopg")


def lock(url: str, seconds: float) -> None:
    """Keep everybody else from writing for a while."""
    engine = create_engine(_driver(url), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if is_sqlite(url):
                connection.exec_driver_sql("PRAGMA busy_timeout=5000")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                tables = ", ".join(table.name for table in METADATA.sorted_tables)
                connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
            connection.exec_driver_sql("ROLLBACK")
    finally:
        engine.dispose()


def read(url: str) -> Book:
    """Read the whole book."""
    engine = create_engine(_driver(url))
    try:
        with engine.connect() as connection:
            incidents, attempts = (
                [dict(row._mapping) for row in connection.execute(select(table).order_by(table.c.id))]
                for table in (INCIDENTS, ATTEMPTS)
            )
            bodies = connection.execute(select(NOTIFICATIONS.c.body))
            digests = Counter(sha256(row.body.encode()).hexdigest() for row in bodies)
    finally:
        engine.dispose()
    return Book(incidents, attempts, digests)
