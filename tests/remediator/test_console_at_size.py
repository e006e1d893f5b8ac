"""The console with 10,000 sites and a long history: measured from request to answer, in the same process."""

import statistics
import time
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import insert

from remediator.store.schema import DECISIONS, INCIDENTS
from tests.remediator.doubles import QUICK, lab, slower
from tests.signing_in import sign_in

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
SITES = 10_000
CLOSED = 50_000
OPEN = 2_000
LIMIT = 0.3
"""Seconds that a page may take."""
HEADER = """
canaries: ["tcp://127.0.0.1:1"]
servers: {web: {ssh: medic@198.51.100.1}}
status_page: {sites: [%s]}
sites:
"""


class Record(Protocol):
    def __call__(self, name: str, value: object) -> None: ...


def names() -> list[str]:
    return [f"customer-{number % 200:03d}-site-{number:05d}" for number in range(SITES)]


def history(now: float) -> list[dict[str, Any]]:
    every = names()
    closed = [
        {
            "site": every[number * 7 % SITES], "state": "recovered", "outcome": "healed",
            "opened_at": now - 80 * 86400 + number * 138, "closed_at": now - 80 * 86400 + number * 138 + 60,
        }
        for number in range(CLOSED)
    ]  # fmt: skip
    return closed + [
        {"site": every[number], "state": "open", "opened_at": now - 300, "closed_at": None, "outcome": None}
        for number in range(OPEN)
    ]


def test_every_page_is_quick_with_ten_thousand_sites(tmp_path: Path, record_property: Record) -> None:
    rows = "".join(f"  - {{name: {name}, url: 'http://127.0.0.1:1/'}}\n" for name in names())
    text = HEADER % ", ".join(names()[:50]) + rows
    with lab(tmp_path, text, slower(QUICK, sites_max_age=2.0), start=False) as found:
        found.exporter.sites = tuple(names())
        found.exporter.failing = dict.fromkeys(names()[:OPEN], "timeout")
        with found.remediator.store.write() as connection:
            connection.execute(insert(INCIDENTS), history(found.remediator.settings.now()))
            decided = [
                {"incident_id": CLOSED + 1 + number, "time": 1.0, "verb": "wait", "reason": "cooldown",
                 "detail": "x" * 80, "action": "restart_container", "numbers": {}}
                for number in range(OPEN)
                for _ in range(5)
            ]  # fmt: skip
            connection.execute(insert(DECISIONS), decided)
        sign_in(found.client)
        found.client.get("/")
        for path in (
            "/", "/?page=150", "/?q=site-09", "/?state=down&page=30", "/incidents",
            "/incidents?outcome=by_itself",
            f"/incidents?site={names()[5000]}", "/incidents?state=open&page=20", f"/site?name={names()[7]}",
            f"/incidents/{CLOSED + 1}", "/approvals", "/pause", "/readiness", "/status",
        ):  # fmt: skip
            took = [_asked(found.client, path) for _ in range(7)]
            median = statistics.median(took)
            record_property(
                "measured",
                f"console, {SITES} sites: {path} {median * 1000:.0f} ms, at most {max(took) * 1000:.0f}",
            )
            assert median < LIMIT, path


def _asked(client: Any, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(path)
    assert answer.status_code == 200
    assert len(answer.data) < 300_000
    return time.perf_counter() - began
