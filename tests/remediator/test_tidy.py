"""SQLite's log is put in its place by a chore, not by whoever takes a notification in."""

from pathlib import Path

from sqlalchemy import insert

from remediator.store.database import Store, add_notification
from remediator.store.schema import META
from tests.remediator.doubles import lab
from tests.waiting import until

PAGE = 4096


def stores(store: Store, times: int) -> None:
    for _ in range(times):
        with store.write() as connection:
            add_notification(
                connection, received_at=1.0, group_key="", receiver="", status="firing", alerts=1,
                truncated=0, unknown_sites=0, body="x" * 20 * PAGE,
            )  # fmt: skip


def test_the_log_is_put_in_its_place_when_asked_and_not_by_a_write(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/remediator.db")
    store.prepare()
    stores(store, 100)  # twice as much as SQLite by itself would leave in its log
    file = tmp_path / "remediator.db"
    assert file.stat().st_size < 100 * 20 * PAGE / 2
    store.tidy()
    assert file.stat().st_size > 100 * 20 * PAGE
    store.close()


def test_a_write_under_way_does_not_keep_it_from_being_done(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/remediator.db")
    store.prepare()
    stores(store, 10)
    with store.write() as connection:
        connection.execute(insert(META).values(name="other", value=1))
        store.tidy()
    assert (tmp_path / "remediator.db").stat().st_size > 10 * 20 * PAGE
    store.close()


def test_the_remediator_does_it_again_and_again(tmp_path: Path) -> None:
    with lab(tmp_path) as running:
        stores(running.remediator.store, 10)
        file = tmp_path / "remediator.db"
        until(lambda: file.stat().st_size > 10 * 20 * PAGE, 30, "the log to be put in its place")
