"""What grows for years is never read as a whole: an index finds what is asked for, whoever asks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from remediator.store.database import Store
from tests.remediator.doubles import lab
from tests.signing_in import sign_in

GROWING = ("incidents", "attempts", "decisions", "events", "approvals", "notifications")
NEWEST_FIRST = re.compile(r"ORDER BY incidents\.id DESC\s+LIMIT", re.IGNORECASE)
"""Read from the end, and no further than the page is long."""
ONLY_WHAT_IS_OPEN = ("one_open_incident", "one_attempt_of_incident")
"""Indexes that hold nothing else."""
PAGES = (
    "/", "/incidents", "/incidents?state=open", "/incidents?site=www", "/incidents/1", "/site?name=www",
    "/approvals", "/api/v1/incidents", "/api/v1/incidents?state=open", "/metrics",
)  # fmt: skip


@contextmanager
def plans(store: Store) -> Iterator[dict[str, list[str]]]:
    """Collect how SQLite goes about each SELECT."""
    found: dict[str, list[str]] = {}

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and statement not in found:
            other = cursor.connection.cursor()
            other.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found[statement] = [row[-1] for row in other.fetchall()]
            other.close()

    event.listen(store._engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(store._engine, "before_cursor_execute", explain)


def reads_all(statement: str, step: str) -> bool:
    scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$", step)
    if scanned is None or scanned[1] not in GROWING or scanned[2] in ONLY_WHAT_IS_OPEN:
        return False
    return NEWEST_FIRST.search(statement) is None


@pytest.mark.full
def test_neither_a_notification_nor_a_look_nor_a_page_reads_all_that_ever_was(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work, plans(at_work.remediator.store) as found:
        for site in ("www", "www", "shop"):
            at_work.exporter.failing[site] = "status"
            assert at_work.post(site).status_code == 200
            at_work.wait(site, "recovered", 30)
        sign_in(at_work.client)
        for page in PAGES:
            assert at_work.client.get(page).status_code == 200, page
    assert any("FROM attempts" in one for one in found)
    wrong = [(one, step) for one, steps in found.items() for step in steps if reads_all(one, step)]
    assert not wrong, wrong
