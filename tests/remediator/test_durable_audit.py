"""The audit trail in the database is only ever added to."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from remediator.errors import StoreError
from remediator.model.incident import Decision, Reason, Verb
from remediator.store.database import Store, record
from remediator.store.incidents import get, keep_decision, open_incidents
from remediator.store.schema import METADATA
from tests.remediator.databases import storage_url

NOW = 1000.0
CHANGES = [
    "UPDATE events SET text = 'nothing happened'",
    "DELETE FROM events",
    "UPDATE decisions SET reason = 'proved'",
    "DELETE FROM decisions",
    "DELETE FROM incidents",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(storage_url(tmp_path))
    found.prepare()
    with found.write() as connection:
        number = open_incidents(connection, {"www": ""}, NOW, "opened")["www"]
        incident = get(connection, number)
        assert incident is not None
        keep_decision(connection, incident, Decision(Verb.WAIT, Reason.COOLDOWN), NOW)
        record(connection, NOW, "looked", "a\0b", number)
    yield found
    found.close()


def trail(store: Store) -> list[object]:
    with store.read() as connection:
        tables = [METADATA.tables[name] for name in ("events", "decisions", "incidents")]
        return [tuple(row) for table in tables for row in connection.execute(table.select())]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_in_the_audit_trail_is_neither_changed_nor_deleted(store: Store, change: str) -> None:
    before = trail(store)
    with pytest.raises((StoreError, DBAPIError)), store.write() as connection:
        connection.execute(text(change))
    assert trail(store) == before


def test_nor_is_it_emptied_at_once_on_postgresql(store: Store) -> None:
    if not store.shared:
        return
    before = trail(store)
    with pytest.raises((StoreError, DBAPIError)), store.write() as connection:
        connection.execute(text("TRUNCATE incidents CASCADE"))
    assert trail(store) == before


def test_an_older_database_gets_the_triggers_too(tmp_path: Path) -> None:
    path = tmp_path / "remediator.db"
    store = Store(f"sqlite:///{path}")
    store.prepare()
    store.close()
    older = sqlite3.connect(path)
    for name, kind in older.execute("SELECT name, type FROM sqlite_master").fetchall():
        if kind == "trigger":
            older.execute(f"DROP TRIGGER {name}")
    for table in ("approvals", "storms", "watched"):
        older.execute(f"DROP TABLE {table}")
    older.execute("ALTER TABLE pauses DROP COLUMN until")
    older.execute("ALTER TABLE incidents DROP COLUMN alert")
    older.execute("UPDATE meta SET value = 2 WHERE name = 'schema_version'")
    older.execute("INSERT INTO events (time, kind, text, data) VALUES (1, 'k', 't', '{}')")
    older.commit()
    older.close()
    store.prepare()
    with pytest.raises(DBAPIError), store.write() as connection:
        connection.execute(text("DELETE FROM events"))
    store.close()
