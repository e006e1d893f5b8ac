"""Who writes next: requests before workers, and nobody never."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import StoreError
from remediator.store import turns as turns_module
from remediator.store.database import Store
from remediator.store.turns import Turns
from tests.remediator.doubles import lab
from tests.waiting import until


def ends_in_order(turns: Turns, *who: str) -> list[str]:
    """Let these wait one after the other while the turn is taken; return in which order each had it."""
    order: list[str] = []

    def wait(name: str) -> None:
        assert turns.take(30.0, first=name.startswith("request"))
        order.append(name)
        turns.give_back()

    assert turns.take(1.0)
    threads = [threading.Thread(target=wait, args=(name,)) for name in who]
    for number, thread in enumerate(threads, 1):
        thread.start()
        until(lambda number=number: len(turns._waiting) == number, 20, "it to wait", every=0.001)
    turns.give_back()
    for thread in threads:
        thread.join(30)
    return order


def test_a_request_goes_before_the_workers_that_came_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "LONG_ENOUGH", 60.0)
    order = ends_in_order(Turns(), "worker 1", "worker 2", "request 1", "worker 3", "request 2")
    assert order == ["request 1", "request 2", "worker 1", "worker 2", "worker 3"]


def test_a_worker_that_has_waited_for_long_goes_after_one_more_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "LONG_ENOUGH", 0.0)
    order = ends_in_order(Turns(), "worker 1", "request 1", "request 2", "worker 2", "request 3")
    assert order == ["request 1", "worker 1", "request 2", "worker 2", "request 3"]


def test_who_has_waited_in_vain_leaves_the_turn_to_the_next() -> None:
    turns = Turns()
    assert turns.take(1.0)
    assert not turns.take(0.05, first=True)
    assert not turns.take(0.0)
    turns.give_back()
    assert turns.take(0.0)


def test_among_many_who_are_in_a_hurry_no_turn_is_taken_twice_or_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "LONG_ENOUGH", 0.002)
    turns, inside, most, had = Turns(), [0], [0], [0]

    def work(number: int) -> None:
        for times in range(100):
            if turns.take((0.0005, 0.01, 30.0)[times % 3], first=number % 2 == 0):
                inside[0] += 1
                most[0], had[0] = max(most[0], inside[0]), had[0] + 1
                time.sleep(0.0002)
                inside[0] -= 1
                turns.give_back()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]
    assert had[0] >= 8 * 33  # the patient ones all had theirs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path}/one.db")
    found.prepare()
    yield found
    found.close()


def waits_for_the_disk(store: Store, patience: float | None = None, lasting: bool = True) -> bool:
    with store.write(patience, lasting=lasting) as connection:
        return bool(connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2)


def test_a_write_waits_for_the_disk_unless_it_need_not_last(store: Store) -> None:
    for _ in range(2):  # on one connection of the pool
        assert waits_for_the_disk(store)
        assert not waits_for_the_disk(store, 1.0, lasting=False)
        assert waits_for_the_disk(store, 1.0)
    with store._engine.connect(), store._engine.connect():  # on others too
        assert waits_for_the_disk(store)


def test_a_write_that_fails_gives_its_turn_back(store: Store) -> None:
    for lasting in (True, False):
        with pytest.raises(StoreError), store.write(1.0, lasting=lasting):
            raise StoreError("broken")
    assert waits_for_the_disk(store)


def test_what_is_answered_and_what_is_acted_on_has_reached_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, every = dict[int, bool](), set[bool]()
    write = Store.write

    def noted(self: Store, patience: float | None = None, within: float = 0.8, lasting: bool = True) -> Any:
        last[threading.get_ident()] = lasting
        every.add(lasting)
        return write(self, patience, within, lasting)

    monkeypatch.setattr(Store, "write", noted)
    with lab(tmp_path) as at_work:
        before_the_act: list[bool] = []
        at_work.restart.before = lambda: before_the_act.append(last[threading.get_ident()])
        at_work.exporter.failing["www"] = "status"
        assert at_work.post("www").status_code == 200
        assert last[threading.get_ident()] is True
        at_work.wait("www", "recovered", 20)
        assert before_the_act == [True]
        assert every == {True, False}  # the rest need not wait
