"""SIGKILL of the remediator before, during and after the act, on a real engine: one restart only."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml

from tests.docker_engine import DockerEngine, needs_docker
from tests.end_to_end.real_site import NAME, RealSite, real_site
from tests.end_to_end.stack import ROOT, clean_environment
from tests.exporter.running import Exporter, exporter
from tests.ports import free_port
from tests.remediator.doubles import Alertmanager, served
from tests.waiting import until

pytestmark = [*needs_docker, pytest.mark.timeout(180)]

STOP_TIMEOUT = 3
"""Seconds. The container ignores SIGTERM, so that a restart takes this long: time to be killed in."""
_TIMINGS = {
    "reconcile": 0.1,
    "recheck": 0.2,
    "probe_spacing": 0.2,
    "start_grace": 0,
    "lease_ttl": STOP_TIMEOUT + 3,
    "ask_happened_after": STOP_TIMEOUT + 2,
}


@dataclass
class Lab:
    """A real site with a real exporter beside it, and remediators that come and go on one database."""

    folder: Path
    site: RealSite
    exporter: Exporter
    alertmanager: str
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0

    @property
    def database(self) -> Path:
        return self.folder / "remediator.db"

    def start(self) -> None:
        """Start a remediator on the database as it stands."""
        self.port = free_port()
        with (self.folder / "remediator.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "stack", "remediator"),
                    f"--config.file={self.exporter.config}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    f"--storage.url=sqlite:///{self.database}",
                    f"--exporter.url={self.exporter.url}",
                    f"--alertmanager.url={self.alertmanager}",
                    *(f"--timing={name}={seconds}" for name, seconds in _TIMINGS.items()),
                ],
                env=clean_environment({"WEBHOOK_TOKEN": "w", "API_TOKEN": "a"}),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        until(lambda: self._get("/-/ready").ok, 20, "the remediator")

    def kill(self) -> None:
        """Kill it as nothing can be caught."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def post(self) -> None:
        """Post what Alertmanager posts when the site is down."""
        labels = {"alertname": "SiteDown", "site": NAME}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        alert = {
            "status": "firing", "labels": labels, "annotations": {}, "fingerprint": "f",
            "startsAt": now, "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
        }  # fmt: skip
        body = {
            "version": "4", "groupKey": "g", "truncatedAlerts": 0, "status": "firing", "receiver": "r",
            "groupLabels": labels, "commonLabels": labels, "commonAnnotations": {}, "externalURL": "",
            "alerts": [alert],
        }  # fmt: skip
        answer = requests.post(
            f"http://127.0.0.1:{self.port}/webhook/alertmanager",
            json=body, headers={"Authorization": "Bearer w"}, timeout=10,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    def stage(self) -> str | None:
        """Return the newest attempt's stage as the database has it, whoever runs."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            row = connection.execute("select stage from attempts order by id desc limit 1").fetchone()
        return row[0] if row else None

    def recovered(self) -> dict[str, object]:
        """Wait for the incident's end and return it."""
        number = self._get("/api/v1/incidents").json()["incidents"][0]["id"]
        shown = lambda: self._get(f"/api/v1/incidents/{number}").json()  # noqa: E731
        until(lambda: shown()["state"] in ("recovered", "needs_human"), 60, "the incident's end")
        found = shown()
        assert found["state"] == "recovered", json.dumps(found, indent=1)
        assert isinstance(found, dict)
        return found

    def restarts(self) -> int:
        """Return how often the engine carried out `docker restart`, by its own record."""
        return len(self.site.engine.events(NAME, self.site.began, "restart"))

    def _get(self, path: str) -> requests.Response:
        token = {"Authorization": "Bearer a"}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=token, timeout=5)


@contextmanager
def _lab(engine: DockerEngine, folder: Path) -> Iterator[Lab]:
    (folder / "exporter").mkdir()
    with real_site(engine, folder, ignores_term=True) as site:
        configuration = site.configuration(stop_timeout=f"{STOP_TIMEOUT}s")
        with (
            exporter(folder / "exporter", configuration, program=("stack", "exporter")) as running,
            served(lambda path, _query, body: Alertmanager().answer(path, body)) as alertmanager,
        ):
            lab = Lab(folder, site, running, alertmanager)
            try:
                lab.start()
                yield lab
            finally:
                if lab.process is not None and lab.process.poll() is None:
                    lab.process.terminate()
                    lab.process.wait(30)


@pytest.fixture
def lab(engine: DockerEngine, tmp_path: Path) -> Iterator[Lab]:
    with _lab(engine, tmp_path) as found:
        found.site.spoil()
        yield found


def _stops(lab: Lab) -> int:
    """Count how often the engine was asked to stop the container: the first thing that a restart does."""
    return len(lab.site.engine.events(NAME, lab.site.began, "kill"))


WHEN: dict[str, Callable[[Lab], bool]] = {
    "before the act": lambda lab: lab.stage() == "prepared",
    "during the act": lambda lab: lab.stage() == "acting" and _stops(lab) == 1,
    "after the act": lambda lab: lab.restarts() == 1,
    "while it is proved": lambda lab: lab.stage() == "verifying",
}


@pytest.mark.parametrize(
    "when",
    [pytest.param(one, marks=[] if one == "during the act" else [pytest.mark.full]) for one in WHEN],
)
def test_a_remediator_killed_at_any_point_is_followed_by_one_that_repeats_nothing(
    lab: Lab, when: str
) -> None:
    lab.post()
    until(lambda: WHEN[when](lab), 30, when, every=0.005)
    lab.kill()
    lab.start()
    incident = lab.recovered()
    assert lab.restarts() == 1
    assert incident["outcome"] == "healed"
    assert len(incident["attempts"]) == 1  # type: ignore[arg-type]


@pytest.mark.full
def test_an_attempt_whose_configuration_has_gone_is_ended_and_not_repeated(lab: Lab) -> None:
    lab.post()
    until(lambda: WHEN["during the act"](lab), 30, "the act", every=0.005)
    lab.kill()
    changed = lab.site.configuration()
    for site in changed["sites"]:  # type: ignore[attr-defined]
        del site["recover"]
    lab.exporter.config.write_text(yaml.safe_dump(changed))
    lab.start()
    incident = lab.recovered()
    assert lab.restarts() == 1
    assert [attempt["stage"] for attempt in incident["attempts"]] == ["abandoned"]  # type: ignore[attr-defined]
