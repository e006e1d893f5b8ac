"""The database's file put back or replaced while the remediator works with it."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from remediator.errors import StoreError
from remediator.store.database import Store, record
from tests.waiting import until

PATIENCE = 30.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "remediator.db"


def opened(file: Path) -> Store:
    store = Store(f"sqlite:///{file}")
    store.prepare()
    return store


def fill(store: Store, count: int, words: str) -> None:
    for number in range(count):
        with store.write(patience=PATIENCE) as connection:
            record(connection, float(number), "paused", f"{words} {number} " + "x" * 1500)


def backup(file: Path, to: Path) -> None:
    """As docs/durability.md says it."""
    source, target = sqlite3.connect(file), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def sound(store: Store) -> int:
    """Return the number of events in a database without a fault."""
    with store.read() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        return int(connection.scalar(text("SELECT count(*) FROM events")) or 0)


def sound_in_the_end(store: Store) -> int:
    """Return it once connections are opened anew: each that was open tells the fault once."""

    def ask() -> tuple[int]:
        try:
            return (sound(store),)
        except StoreError as error:
            raise AssertionError(str(error)) from error

    return until(ask, PATIENCE, "a sound database")[0]


def test_an_older_copy_in_its_place_is_worked_with_and_stays_whole(file: Path, tmp_path: Path) -> None:
    store, copy = opened(file), tmp_path / "copy"
    fill(store, 60, "old")
    backup(file, copy)
    fill(store, 200, "new")
    store.tidy()  # pages of the copy would come from the log, others from the file
    fill(store, 30, "newer")
    copy.replace(file)
    assert sound_in_the_end(store) == 60
    fill(store, 5, "after")
    assert sound(store) == 65
    store.close()
    again = opened(file)
    assert sound(again) == 65
    again.close()


def test_a_copy_with_a_log_of_its_own_keeps_it(file: Path, tmp_path: Path) -> None:
    """The whole folder put back: what stands in its log only belongs to it."""
    store, kept = opened(file), tmp_path / "kept"
    fill(store, 30, "old")
    kept.mkdir()
    for one in (file.name, f"{file.name}-wal"):
        shutil.copy(tmp_path / one, kept)
    fill(store, 30, "new")
    for one in (f"{file.name}-wal", file.name):
        (kept / one).replace(tmp_path / one)
    (tmp_path / f"{file.name}-shm").unlink()
    assert sound_in_the_end(store) == 30
    store.close()
