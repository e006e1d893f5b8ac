"""Claims, leases and fences in the database, and its versions."""

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError

from remediator.errors import LeaseLostError, StoreError, StoreUnusableError
from remediator.model.incident import Decision, Incident, Outcome, Reason, Stage, State, Verb
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import Store, epoch, raise_epoch
from remediator.store.schema import INCIDENTS, META
from tests.remediator.databases import storage_url
from tests.remediator.doubles import lab

NOW = 1000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(storage_url(tmp_path))
    found.prepare()
    yield found
    found.close()


def opened(connection: Connection) -> int:
    return store_incidents.open_incidents(connection, {"www": ""}, NOW, "")["www"]


def row(incident_id: int, fence: int, server: str = "web") -> dict[str, object]:
    return {
        "incident_id": incident_id, "site": "www", "server": server, "target": "nginx", "action": "a",
        "step": "a", "stage": Stage.PREPARED, "fence": fence, "created_at": NOW, "stage_at": NOW,
        "next_at": NOW, "marks": {},
    }  # fmt: skip


def test_a_site_has_one_open_incident_at_a_time(store: Store) -> None:
    with store.write() as connection:
        first = opened(connection)
        incident = store_incidents.get(connection, first)
        assert incident is not None
        proved = Decision(Verb.CLOSE, Reason.PROVED)
        assert store_incidents.close(connection, incident, Outcome.BY_ITSELF, proved, NOW)
        assert not store_incidents.close(connection, incident, Outcome.BY_ITSELF, proved, NOW)
        assert opened(connection) > first
    with pytest.raises(IntegrityError), store.write() as connection:
        opened(connection)


def test_a_lease_is_taken_once_and_again_only_after_its_end_under_a_higher_number(store: Store) -> None:
    with store.write() as connection:
        assert store_attempts.take_lease(connection, "web", "a", NOW, 10) == 1
        assert store_attempts.take_lease(connection, "web", "b", NOW + 9, 10) is None
        assert store_attempts.take_lease(connection, "web", "b", NOW + 10, 10) == 2
        store_attempts.release(connection, "web", "a", 1, NOW + 11)
        assert store_attempts.take_lease(connection, "web", "a", NOW + 12, 10) is None


def test_a_holder_whose_lease_has_gone_writes_nothing_any_more(store: Store) -> None:
    with store.write() as connection:
        incident = opened(connection)
        fence = store_attempts.take_lease(connection, "web", "a", NOW, 10) or 0
        attempt_id = store_attempts.add(connection, row(incident, fence))
        attempt = store_attempts.get(connection, attempt_id)
        assert attempt is not None
        store_attempts.write(connection, attempt, "a", NOW + 5, 10, detail="held")
        with pytest.raises(LeaseLostError):
            store_attempts.write(connection, attempt, "a", NOW + 15, 10, detail="run out")
        second = store_attempts.take_lease(connection, "web", "b", NOW + 15, 10) or 0
        assert store_attempts.adopt(connection, attempt, second, NOW + 15)
        assert not store_attempts.adopt(connection, attempt, second + 1, NOW + 15)
        with pytest.raises(LeaseLostError):
            store_attempts.write(connection, attempt, "a", NOW + 16, 10, stage=Stage.ACTING)
        guessed = replace(attempt, fence=second)
        with pytest.raises(LeaseLostError):
            store_attempts.write(connection, guessed, "a", NOW + 16, 10, stage=Stage.ACTING)
        kept = store_attempts.get(connection, attempt_id)
        assert kept is not None
        assert (kept.stage, kept.detail, kept.fence) == (Stage.PREPARED, "held", second)


def test_the_epoch_is_raised_only_from_what_was_seen(store: Store) -> None:
    with store.write() as connection:
        seen = epoch(connection)
        assert raise_epoch(connection, seen)
        assert not raise_epoch(connection, seen)


def test_of_many_claims_on_the_same_facts_exactly_one_succeeds(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as idle:
        idle.exporter.failing |= {"www": "status", "shop": "status"}
        idle.post("www", "shop")
        remediator = idle.remediator
        assert remediator.reconciler._lead.held()
        facts = [remediator.gatherer.gather(number) for number in (1, 2)]
        claim = remediator.reconciler._attempts.claim
        decision = Decision(
            Verb.ACT, Reason.ANSWERS_WRONGLY, action="restart_container", step="restart_container"
        )
        won: list[int | None] = []
        threads = [
            threading.Thread(target=lambda one=one: won.append(claim(one, decision)))  # type: ignore[misc]
            for one in facts * 4
            if one is not None
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 8
        assert len([one for one in won if one is not None]) == 1


def test_a_pause_undoes_what_was_decided_before_it(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as idle:
        idle.exporter.failing["www"] = "status"
        idle.post("www")
        facts = idle.remediator.gatherer.gather(1)
        assert facts is not None
        assert idle.remediator.reconciler._lead.held()
        with idle.remediator.store.write() as connection:
            raise_epoch(connection)
        decision = Decision(
            Verb.ACT, Reason.ANSWERS_WRONGLY, action="restart_container", step="restart_container"
        )
        assert idle.remediator.reconciler._attempts.claim(facts, decision) is None


def test_what_fails_inside_a_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.write() as connection:
            opened(connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as connection:
        assert store_incidents.listing(connection) == []


def test_a_newer_database_is_refused_and_an_equal_one_taken(tmp_path: Path) -> None:
    url = storage_url(tmp_path)
    for _ in range(2):
        store = Store(url)
        store.prepare()
        store.close()
    with store.write() as connection:
        connection.execute(update(META).where(META.c.name == "schema_version").values(value=99))
    with pytest.raises(StoreUnusableError, match="99"):
        store.prepare()
    store.close()


def test_the_database_is_its_owners_alone(tmp_path: Path, store: Store) -> None:
    assert stat.S_IMODE((tmp_path / "remediator.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["nonsense", "oracle9://x", "sqlite:////proc/nowhere/x.db"])
def test_a_database_that_cannot_be_is_told(url: str) -> None:
    with pytest.raises(StoreUnusableError):
        Store(url)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_database_is_told(tmp_path: Path, store: Store) -> None:
    (tmp_path / "remediator.db").chmod(0o400)
    other = Store(f"sqlite:///{tmp_path}/remediator.db")
    with pytest.raises(StoreError):
        other.check_writable()
    other.close()


def test_no_sqlite_only_sql_stands_outside_its_own_file() -> None:
    for path in Path("remediator/store").glob("*.py"):
        if path.name not in {"engine.py", "damage.py"}:  # the latter looks whether SQLite's file is sound
            assert "PRAGMA" not in path.read_text()
            assert "OR IGNORE" not in path.read_text()


def test_writing_is_durable_and_readers_are_not_held_up(store: Store) -> None:
    with store.read() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert store_incidents.listing(connection) == []
        with store.write() as writing:
            opened(writing)
        assert store_incidents.listing(connection) == []


def test_a_decision_that_is_no_news_is_not_stored_again(store: Store) -> None:
    with store.write() as connection:
        number = opened(connection)
        wait = Decision(Verb.WAIT, Reason.COOLDOWN, "59 s left", until=NOW + 59)
        for turn in range(3):
            incident = store_incidents.get(connection, number)
            assert isinstance(incident, Incident)
            assert store_incidents.keep_decision(connection, incident, wait, NOW) is (turn == 0)
        assert connection.execute(text("SELECT count(*) FROM decisions")).scalar() == 1
        assert connection.execute(INCIDENTS.select()).one().state == State.OPEN


def test_a_connection_in_use_when_all_are_closed_is_closed_once_it_is_given_back(tmp_path: Path) -> None:
    store = Store(storage_url(tmp_path))
    store.prepare()
    with store.read() as connection:
        used = connection.connection.driver_connection
        store.close()
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert used is not None
    with pytest.raises(Exception, match="closed"):
        used.cursor()
