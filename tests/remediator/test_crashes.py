"""The real process, killed at every point of an attempt: one act only, and the incident ends."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from remediator.actions import ACTIONS
from remediator.model.playbooks import BUILT_IN
from tests.linode_fake import LINODE, TOKEN, running_linode_api
from tests.ports import free_port
from tests.remediator.databases import storage_url
from tests.remediator.doubles import API, SITES, WEBHOOK, Exporter, Ledger, served
from tests.waiting import until

OLD, NEW = "restart_container", "restart_differently"
REBOOT, BOOT = "reboot_linode", "boot_linode"


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[tuple[Exporter, str]]:
    (tmp_path / "sites.yml").write_text(SITES)
    ledger = Ledger(tmp_path / "ledger")
    found = Exporter(("www", "shop", "blog", "wiki", "docs"))
    found.failing["www"] = "status"
    found.healed = lambda site: any(line.split()[1] == site for line in ledger.lines())

    def answer(path: str, query: dict[str, list[str]], _body: bytes) -> tuple[int, Any]:
        return (200, []) if path.startswith("/api/v2/") else found.answer(path, query)  # no silences

    with served(answer) as url:
        yield found, url


class Process:
    def __init__(self, folder: Path, point: str, action: str, exporter_url: str) -> None:
        self.port = free_port()
        self.log = (folder / "log").open("a")
        command = [sys.executable, "-m", "tests.remediator.crashing", str(folder), point, action]
        self.popen = subprocess.Popen(
            [*command, exporter_url, str(self.port)], stdout=self.log, stderr=self.log,
            env={**os.environ, "STORAGE_URL": storage_url(folder)},
        )  # fmt: skip

    def ready(self) -> bool:
        return self.popen.poll() is not None or self.get("/-/ready").ok

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=API, timeout=15)

    def post(self) -> None:
        alert = {"status": "firing", "labels": {"alertname": "SiteDown", "site": "www"}}
        body = {"version": "4", "groupKey": "k", "status": "firing", "receiver": "r", "alerts": [alert]}
        url = f"http://127.0.0.1:{self.port}/webhook/alertmanager"
        assert requests.post(url, json=body, headers=WEBHOOK, timeout=15).status_code == 200

    def incident(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/v1/incidents/1").json()
        return found

    def ended(self) -> dict[str, Any] | None:
        incident = self.incident()
        return incident if incident["state"] == "recovered" else None

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        code = self.popen.wait(60)
        self.log.close()
        return code


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path, exporter: tuple[Exporter, str]) -> Iterator[Start]:
    running: list[Process] = []

    def begin(point: str = "never", action: str = OLD) -> Process:
        running.append(Process(tmp_path, point, action, exporter[1]))
        until(running[-1].ready, 60, "the remediator ready")
        return running[-1]

    yield begin
    for process in running:
        process.stop(signal.SIGKILL)


@contextmanager
def killed(start: Start, point: str) -> Iterator[None]:
    """Run a remediator into its own SIGKILL at `point`."""
    process = start(point)
    process.post()
    assert process.popen.wait(60) == -signal.SIGKILL
    yield


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("prepare", marks=pytest.mark.full),
        "before",
        "after",
        pytest.param("settle", marks=pytest.mark.full),
    ],
)
def test_killed_anywhere_in_an_attempt_it_acts_once_and_the_incident_ends(
    start: Start, tmp_path: Path, point: str
) -> None:
    with killed(start, point):
        acted = len(Ledger(tmp_path / "ledger").lines())
        assert acted == (1 if point in ("after", "settle") else 0)
    again = start()
    incident = until(again.ended, 60, "the incident's end")
    assert incident["outcome"] == "healed"
    stages = ["abandoned", "succeeded"] if point == "before" else ["succeeded"]
    assert [one["stage"] for one in incident["attempts"]] == stages
    assert len(Ledger(tmp_path / "ledger").lines()) == 1
    assert "taken_up" in [one["kind"] for one in incident["timeline"]]


@pytest.mark.full
@pytest.mark.parametrize("point", ["before", "after"])
def test_killed_and_upgraded_to_another_playbook_it_abandons_and_decides_anew(
    start: Start, tmp_path: Path, point: str
) -> None:
    with killed(start, point):
        again = start(action=NEW)
    incident = until(again.ended, 60, "the incident's end")
    assert incident["attempts"][0]["stage"] == "abandoned"
    assert incident["attempts"][0]["reason"] == "step_gone"
    acts = [line.split()[0] for line in Ledger(tmp_path / "ledger").lines()]
    assert acts == ([OLD] if point == "after" else [NEW])


@pytest.mark.full
def test_killed_while_it_proves_the_recovery_it_proves_it_after(
    start: Start, exporter: tuple[Exporter, str], tmp_path: Path
) -> None:
    exporter[0].healed = lambda _site: False
    process = start()
    process.post()
    until(lambda: process.incident()["state"] == "verifying", 60, "it verifying")
    process.stop(signal.SIGKILL)
    exporter[0].failing.clear()
    again = start()
    assert until(again.ended, 60, "the incident's end")["outcome"] == "healed"
    assert len(Ledger(tmp_path / "ledger").lines()) == 1


@pytest.mark.full
def test_stopped_while_it_proves_the_recovery_it_goes_on_at_once(
    start: Start, exporter: tuple[Exporter, str], tmp_path: Path
) -> None:
    exporter[0].healed = lambda _site: False
    process = start()
    process.post()
    until(lambda: process.incident()["state"] == "verifying", 60, "it verifying")
    assert process.stop(signal.SIGTERM) == 0
    exporter[0].failing.clear()
    again = start()
    assert until(again.ended, 60, "the incident's end")["outcome"] == "healed"


def test_a_notification_answered_with_200_survives_a_kill(
    start: Start, exporter: tuple[Exporter, str]
) -> None:
    exporter[0].canaries = [False]
    process = start()
    process.post()
    process.stop(signal.SIGKILL)
    again = start()
    assert again.incident()["state"] == "open"
    exporter[0].canaries = [True]
    until(again.ended, 60, "the incident's end")


@pytest.mark.parametrize(
    ("power", "point"),
    [
        (REBOOT, "before"),
        (REBOOT, "after"),
        pytest.param(REBOOT, "settle", marks=pytest.mark.full),
        pytest.param(BOOT, "before", marks=pytest.mark.full),
        pytest.param(BOOT, "after", marks=pytest.mark.full),
        pytest.param(BOOT, "settle", marks=pytest.mark.full),
    ],
)
def test_killed_around_a_reboot_or_a_boot_it_asks_for_exactly_one(
    start: Start,
    exporter: tuple[Exporter, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    power: str,
    point: str,
) -> None:
    (tmp_path / "sites.yml").write_text(SITES.replace("linode: 7", f"linode: {LINODE}, may_boot: true"))
    with running_linode_api() as fake:
        if power == BOOT:
            fake.account.set_status(LINODE, "offline")
        monkeypatch.setenv("FAKE_LINODE", fake.url)
        exporter[0].failing |= {"www": "timeout", "docs": "timeout"}
        exporter[0].healed = lambda _site: fake.faults.accepted > 0
        process = start(point, action=power)
        process.post()
        assert process.popen.wait(60) == -signal.SIGKILL
        assert fake.faults.posts == (0 if point == "before" else 1)
        again = start(action=power)
        incident = until(again.ended, 60, "the incident's end")
        assert (fake.faults.posts, fake.faults.accepted) == (1, 1)
        assert incident["attempts"][-1]["action"] == power
        assert incident["outcome"] == "healed"
        secrets = (TOKEN, "webhook-token", "api-token")
        again.get("/-/ready")
        pages = [again.get(path).text for path in ("/", "/metrics", "/incidents/1", "/api/v1/incidents/1")]
        again.stop()
    written = [path.read_bytes().decode(errors="replace") for path in tmp_path.iterdir() if path.is_file()]
    assert len(written) >= 2  # the log, the configuration; on SQLite the database too
    assert [secret for secret in secrets for text in (*pages, *written) if secret in text] == []


def test_ended_in_the_middle_of_an_act_it_ends_quickly_and_takes_it_up_again(
    start: Start, exporter: tuple[Exporter, str], tmp_path: Path
) -> None:
    process = start("hang")
    process.post()
    until(lambda: Ledger(tmp_path / "ledger").lines(), 60, "the act")
    begin = time.monotonic()
    assert process.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begin < 25
    again = start()
    assert until(again.ended, 60, "the incident's end")["outcome"] == "healed"
    assert len(Ledger(tmp_path / "ledger").lines()) == 1


def test_every_step_of_the_built_in_playbook_is_an_action_that_there_is() -> None:
    steps = BUILT_IN.answers_wrongly + BUILT_IN.does_not_answer
    assert {step.action for step in steps} <= ACTIONS.keys()


@pytest.mark.full
def test_killed_after_the_act_and_upgraded_from_an_older_database_it_goes_on(
    start: Start, tmp_path: Path, database: str
) -> None:
    if database != "sqlite":
        pytest.skip("no older version knew PostgreSQL")
    with killed(start, "after"), closing(sqlite3.connect(tmp_path / "remediator.db")) as older:
        for (name,) in older.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            older.execute(f"DROP TRIGGER {name}")
        for table in ("approvals", "storms", "watched"):
            older.execute(f"DROP TABLE {table}")
        older.execute("ALTER TABLE pauses DROP COLUMN until")
        older.execute("ALTER TABLE incidents DROP COLUMN alert")
        older.execute("UPDATE meta SET value = 2 WHERE name = 'schema_version'")
        older.commit()
    again = start()
    incident = until(again.ended, 60, "the incident's end")
    assert [one["stage"] for one in incident["attempts"]] == ["succeeded"]
    assert len(Ledger(tmp_path / "ledger").lines()) == 1
