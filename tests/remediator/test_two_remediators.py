"""Two remediators on one PostgreSQL, each with an Alertmanager of its own: one works, one takes over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.cable import Cable, cable
from tests.ports import free_port
from tests.postgres_server import PostgresServer
from tests.remediator.doubles import API, SITES, Exporter, Ledger, served
from tests.waiting import until

pytestmark = [
    pytest.mark.needs("postgres", "initdb", "prometheus-alertmanager"),
    pytest.mark.timeout(300),
]
PATIENCE = 90.0


@dataclass
class One:
    """A remediator with its Alertmanager, and its cable to the database."""

    folder: Path
    port: int
    cable: Cable
    alertmanager: AlertmanagerServer
    process: "subprocess.Popen[bytes]"
    log: Path

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"it has ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        return self.get("/-/ready").ok

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=API, timeout=5)

    def leads(self) -> bool:
        return "\nsitemedic_remediator_leads 1.0" in self.get("/metrics").text

    def shown(self, metric: str) -> str:
        """Return what its page of metrics says after a metric's name, first time."""
        lines = self.get("/metrics").text.splitlines()
        return next((line for line in lines if line.startswith(metric)), "").removeprefix(metric)

    def incident(self) -> dict[str, Any]:
        """Return the outage's incident: the first, since an Alertmanager that is answered late opens another.

        It goes on to say that the site is down, and tries again whenever it was not answered: by a remediator
        that hung, or waited for the database. Where the site is well by then, the new one ends by itself.
        """
        first = min(one["id"] for one in self.get("/api/v1/incidents").json()["incidents"])
        found: dict[str, Any] = self.get(f"/api/v1/incidents/{first}").json()
        return found

    def recovered(self) -> dict[str, Any] | None:
        found = self.incident()
        return found if found["state"] == "recovered" else None

    def stopped(self) -> bool:
        """Tell whether it has ended or hangs."""
        if self.process.poll() is not None:
            return True
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        return self.process.wait(30)


class Pair:
    """Two of them, with what they stand between."""

    def __init__(self, folder: Path, postgres: PostgresServer, stack: ExitStack) -> None:
        (folder / "sites.yml").write_text(SITES)
        self.folder = folder
        self.ledger = Ledger(folder / "ledger")
        self.exporter = Exporter(("www", "shop", "blog", "wiki", "docs"))
        self.exporter.failing["www"] = "status"
        self.exporter.healed = lambda _site: self.ledger.lines() != []
        answer = served(lambda path, query, _body: self.exporter.answer(path, query))
        self.exporter_url = stack.enter_context(answer)
        self.postgres = postgres
        self.database = postgres.url()
        self.stack = stack
        self.each: list[One] = []

    def start(self, point: str, skew: float = 0.0) -> One:
        laid = self.stack.enter_context(cable(self.postgres.port))
        port, number = free_port(), len(self.each)
        log = self.folder / f"log{number}"
        output = self.stack.enter_context(log.open("ab"))
        url = self.database.replace(f":{self.postgres.port}/", f":{laid.port}/")
        command = [sys.executable, "-m", "tests.remediator.working", str(self.folder), point]
        alertmanager = self.stack.enter_context(self._alertmanager(port, number))
        process = subprocess.Popen(
            [*command, self.exporter_url, alertmanager.url, str(port)],
            stdout=output, stderr=output, env={**os.environ, "STORAGE_URL": url, "SKEW": str(skew)},
        )  # fmt: skip
        one = One(self.folder, port, laid, alertmanager, process, log)
        self.stack.callback(one.end, signal.SIGKILL)
        self.each.append(one)
        return one

    def _alertmanager(self, port: int, number: int) -> Any:
        hook = {
            "url": f"http://127.0.0.1:{port}/webhook/alertmanager",
            "http_config": {"authorization": {"credentials": "webhook-token"}},
        }
        route = {"receiver": "r", "group_wait": "0s", "group_interval": "1s", "group_by": ["site"]}
        config = {"route": route, "receivers": [{"name": "r", "webhook_configs": [hook]}]}
        file = self.folder / f"alertmanager{number}.yml"
        file.write_text(yaml.safe_dump(config))
        return alertmanager_server(file, self.folder / f"am{number}")

    def both(self, point: str, *skews: float) -> tuple[One, One]:
        """Start two, and return the one that leads first."""
        for skew in skews or (0.0, 0.0):
            self.start(point, skew)
        for one in self.each:
            until(one.ready, PATIENCE, f"it ready (its log: {one.log})")
        until(lambda: any(one.leads() for one in self.each), PATIENCE, "one that leads")
        leader = next(one for one in self.each if one.leads())
        return leader, next(one for one in self.each if one is not leader)

    def in_trouble(self) -> tuple[One, One]:
        """Wait for the trouble; return whom it came to and the other: the lead may have changed before."""
        said = until((self.folder / "trouble").read_text, PATIENCE, "the trouble")
        troubled = next(one for one in self.each if one.process.pid == int(said))
        return troubled, next(one for one in self.each if one is not troubled)

    def stored(self) -> int:
        """Count the notifications in the database."""
        counted = self.postgres.execute(
            "SELECT count(*) FROM notifications", self.database.rpartition("/")[2]
        )
        return int(counted[0][0])

    def fire(self) -> None:
        for one in self.each:
            one.alertmanager.fire({"alertname": "SiteDown", "site": "www"})


@pytest.fixture
def pair(tmp_path: Path, postgres: PostgresServer) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(tmp_path, postgres, stack)


full = pytest.mark.full


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("before:hangs", marks=full),
        pytest.param("after:hangs", marks=full),
        pytest.param("before:dies", marks=full),
        pytest.param("after:dies", marks=full),
        pytest.param("before:cut", marks=full),
        pytest.param("after:cut", marks=full),
    ],
)
def test_the_other_takes_an_attempt_over_and_nothing_is_done_twice(pair: Pair, point: str) -> None:
    pair.both(point)
    pair.fire()
    leader, other = pair.in_trouble()
    if point.endswith("cut"):
        leader.cable.cut()
        (pair.folder / "cut").touch()
    else:
        until(leader.stopped, PATIENCE, "its end, or that it hangs")
    incident = until(other.recovered, PATIENCE, "the incident's end")
    assert incident["outcome"] == "healed", incident
    until(other.leads, PATIENCE, "the other leading")
    assert "taken_up" in [one["kind"] for one in incident["timeline"]]
    if point.endswith("hangs"):
        leader.process.send_signal(signal.SIGCONT)
    leader.cable.mend()
    if not point.endswith("dies"):
        until(lambda: leader.get("/-/ready").ok and not leader.leads(), PATIENCE, "it back, behind the other")
    assert len(pair.ledger.lines()) == 1
    assert [line.split()[1] for line in pair.ledger.lines()] == ["www"]


@pytest.mark.full
def test_clocks_that_are_hours_apart_change_nothing(pair: Pair) -> None:
    pair.both("before:dies", 7200.0, -7200.0)
    pair.fire()
    leader, other = pair.in_trouble()
    until(leader.stopped, PATIENCE, "its end")
    incident = until(other.recovered, PATIENCE, "the incident's end")
    assert len(pair.ledger.lines()) == 1
    times = [one["time"] for one in incident["timeline"]]
    assert times == sorted(times)
    assert times[-1] - times[0] < PATIENCE


@pytest.mark.full
def test_who_ends_cleanly_hands_over_at_once_and_both_store_what_comes(pair: Pair) -> None:
    pair.exporter.canaries = [False]
    leader, other = pair.both("never")
    pair.fire()
    until(lambda: other.incident()["state"] == "open", PATIENCE, "the incident")
    until(lambda: pair.stored() >= 2, PATIENCE, "both notifications")
    until(lambda: 'site="www"' in other.shown("sitemedic_incident_info"), PATIENCE, "the other showing it")
    assert float(other.shown("sitemedic_reconcile_last_run_timestamp_seconds")) > time.time() - PATIENCE
    assert leader.end() == 0
    until(other.leads, PATIENCE, "the other leading")
    pair.exporter.canaries = [True]
    until(other.recovered, PATIENCE, "the incident's end")
    assert len(pair.ledger.lines()) == 1
