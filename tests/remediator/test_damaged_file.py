"""SQLite's file cut short or written over in its place, while the remediator works with it."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from remediator.errors import StoreError
from remediator.store import damage
from remediator.store.damage import Damage, fault
from remediator.store.database import Store, record
from tests.remediator.doubles import API, lab
from tests.remediator.test_replaced_file import backup, sound
from tests.waiting import until

PATIENCE = 30.0


def opened(folder: Path) -> tuple[Store, Path]:
    """Return a store some megabytes large, in the middle of its life, and a backup of it."""
    file, copy = folder / "remediator.db", folder / "backup"
    store = Store(f"sqlite:///{file}")
    store.prepare()
    write(store, 30)
    backup(file, copy)
    store.tidy()
    write(store, 4)
    store.tidy()
    return store, copy


def write(store: Store, times: int) -> None:
    for _ in range(times):
        with store.write(patience=PATIENCE) as connection:
            for _ in range(100):
                record(connection, 1.0, "paused", "x" * 1900)


def cut_short(file: Path, _copy: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path, _copy: Path) -> None:
    os.truncate(file, 0)


def garbled(file: Path, _copy: Path) -> None:
    over(file, os.urandom(file.stat().st_size))


def over(file: Path, content: bytes) -> None:
    with file.open("r+b") as there:
        there.truncate()
        there.write(content)


@pytest.mark.parametrize(
    "spoil", [emptied, *(pytest.param(one, marks=pytest.mark.full) for one in (cut_short, garbled))]
)
def test_nothing_is_read_or_written_until_a_good_file_is_moved_into_its_place(
    spoil: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    store, copy = opened(tmp_path)
    file = tmp_path / "remediator.db"
    spoil(file, copy)

    def refused() -> bool:
        try:
            write(store, 1)
        except StoreError as error:
            return "is damaged" in str(error)
        return False

    until(refused, PATIENCE, "the damage to be seen")
    for use in (lambda: sound(store), store.check_writable, lambda: write(store, 1)):
        with pytest.raises(StoreError, match=r"is damaged .*mv, not cp"):
            use()
    copy.replace(file)
    assert until(lambda: whole(store), PATIENCE, "it sound again", every=0.2) == 3000
    write(store, 1)
    assert sound(store) == 3100
    store.close()


def test_a_copy_that_was_written_over_it_is_looked_through_and_no_later_write_is_lost(tmp_path: Path) -> None:
    """As `cp backup remediator.db` does: what connections remember of the file is wrong from then on."""
    store, copy = opened(tmp_path)
    over(tmp_path / "remediator.db", copy.read_bytes())
    with pytest.raises(StoreError, match=r"written over|shorter"):
        write(store, 1)
    there = until(lambda: whole(store), PATIENCE, "it sound again", every=0.2)
    write(store, 1)
    assert sound(store) == there + 100
    store.close()


def whole(store: Store) -> int | None:
    try:
        return sound(store)
    except StoreError:
        return None


def test_what_somebody_writes_who_may_is_no_damage(tmp_path: Path) -> None:
    store, _copy = opened(tmp_path)
    file = tmp_path / "remediator.db"
    other = sqlite3.connect(file)
    other.execute("INSERT INTO meta VALUES ('x', 1)")
    other.commit()
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    assert until(lambda: whole(store), PATIENCE, "it sound again", every=0.1) == 3400
    assert fault(file) == ""
    store.close()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_that_could_not_begin_or_broke_off_is_made_at_a_later_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, copy = opened(tmp_path)
    over(tmp_path / "remediator.db", copy.read_bytes())
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", no_thread)
        for said in ("written over|shorter", "cannot be looked through now: can't start new thread"):
            with pytest.raises(StoreError, match=said):
                sound(store)
    broke_off = threading.Event()

    def break_off(_path: Path) -> str:
        broke_off.set()
        raise MemoryError

    with monkeypatch.context() as machine:
        machine.setattr(damage, "fault", break_off)
        with pytest.raises(StoreError, match="looked through"):
            sound(store)
        assert broke_off.wait(PATIENCE)
    assert until(lambda: whole(store), PATIENCE, "it sound again", every=0.2)
    store.close()


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_connection_that_was_being_opened_when_a_sign_was_seen_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _copy = opened(tmp_path)
    store.close()
    check = Damage.check

    def check_and_then_a_sign(self: Damage) -> None:
        check(self)
        self.sign("malformed")

    with monkeypatch.context() as between:
        between.setattr(Damage, "check", check_and_then_a_sign)
        with pytest.raises(StoreError, match="is damaged"):
            sound(store)
    assert until(lambda: whole(store), PATIENCE, "it sound again", every=0.2) == 3400
    store.close()


@pytest.mark.full
def test_readers_beside_a_writer_never_take_a_sound_file_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one is held up between looking at the file's state and comparing it."""
    store, _copy = opened(tmp_path)
    file, done = tmp_path / "remediator.db", threading.Event()
    look = Path.stat

    def slow_look(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = look(path, follow_symlinks=follow_symlinks)
        if path == file:
            time.sleep(random.uniform(0, 0.004))
        return found

    def read() -> None:
        while not done.is_set():
            with store.read(PATIENCE) as connection:
                connection.execute(text("SELECT count(*) FROM meta"))
            time.sleep(random.uniform(0, 0.02))

    monkeypatch.setattr(Path, "stat", slow_look)
    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for _ in range(100):
                with store.write(PATIENCE) as connection:
                    record(connection, 1.0, "paused", "x")
                store.tidy()
        finally:
            done.set()
        for reader in readers:
            reader.result()
    store.close()


@pytest.mark.full
def test_the_history_is_told_to_its_end_while_the_remediator_writes(tmp_path: Path) -> None:
    """Its reader is slow, as `less` is: what is written meanwhile is no damage to a guest."""
    file = tmp_path / "remediator.db"
    store = Store(f"sqlite:///{file}")
    store.prepare()
    write(store, 3)
    store.tidy()
    asked = [sys.executable, "-m", "stack", "history", "--json", f"--dir={tmp_path}"]
    environment = os.environ | {"STORAGE_URL": f"sqlite:///{file}"}
    with subprocess.Popen(asked, stdout=subprocess.PIPE, env=environment) as history:
        assert history.stdout is not None
        told = [history.stdout.readline()]  # more than a pipe holds is to be told before it reads on
        write(store, 1)
        store.tidy()
        told += history.stdout.readlines()
    assert (history.returncode, len(told)) == (0, 300)
    store.close()


def test_it_is_told_what_is_wrong_and_healing_goes_on_by_itself(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        file, copy = tmp_path / "remediator.db", tmp_path / "backup"
        at_work.post("blog")
        at_work.remediator.store.tidy()
        backup(file, copy)
        garbled(file, copy)
        at_work.exporter.failing["www"] = "status"
        until(lambda: at_work.post("www").status_code == 503, PATIENCE, "a notification refused")
        told = until(lambda: not_ready(at_work.client.get("/-/ready")), PATIENCE, "it told")
        assert f"the database {file} is damaged" in told
        assert at_work.client.get("/api/v1/incidents", headers=API).status_code == 503
        assert at_work.ledger.lines() == []
        copy.replace(file)
        until(lambda: at_work.post("www").status_code == 200, PATIENCE, "a notification taken", every=0.2)
        at_work.wait("www", "recovered", PATIENCE)
        assert len(at_work.ledger.lines()) == 1


def not_ready(answer: object) -> str:
    text = str(getattr(answer, "text", ""))
    return text if "is damaged" in text else ""
