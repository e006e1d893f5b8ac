"""A remediator of its own for one measurement: its process, its database, and what it stands between."""

import http.client
import json
import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, ProcessError, free_port, running
from benchmarks.remediator_server import SERVERS, Docker, address, sshd

_PATIENCE = 120.0


@dataclass(frozen=True)
class Shape:
    """What sites.yml holds: so many sites, the first `healed` of them healed on one of the servers."""

    sites: int
    healed: int = 0
    max_unhealthy: str = "50%"

    def text(self, ssh: str) -> str:
        """Return the sites.yml; `ssh` is how servers are reached."""
        limits = f'max_unhealthy: "{self.max_unhealthy}", attempts: 100, cooldown: 0s, prove_within: 10s'
        lines = [
            'canaries: ["tcp://canary.example:443"]',
            f"remediation: {{{limits}}}",
            f"defaults: {{ssh: {ssh}}}",
            "servers:",
            *(f"  server-{number}: {{ssh: {address(number)}}}" for number in range(SERVERS)),
            "sites:",
        ]
        for number in range(self.sites):
            recover = f", recover: {{server: server-{number % SERVERS}, container: app-{number}}}"
            name = f"site-{number}"
            own = recover if number < self.healed else ""
            lines.append(f'  - {{name: {name}, url: "https://{name}.example/"{own}}}')
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Lab:
    """A running remediator and its surroundings."""

    remediator: Process
    neighbours: Process
    docker: Docker
    database: Path
    token: str

    def webhook(self) -> "Webhook":
        """Open a connection as Alertmanager has one."""
        return Webhook(self.remediator.port, self.token)

    def bare(self) -> "Bare":
        """Open a connection to the neighbours, who answer at once: what the machine itself takes."""
        return Bare(self.neighbours.port)

    def fail(self, sites: Sequence[str]) -> None:
        """Let these sites fail from now on, and all others pass."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.neighbours.port, timeout=10)) as connection:
            connection.request("POST", "/failing", json.dumps(list(sites)))
            connection.getresponse().read()

    def count(self, query: str) -> int:
        """Return the first figure of a query of the remediator's database."""
        address = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            return int(connection.execute(query).fetchone()[0])

    def open(self, sites: Sequence[str], at_once: int = 100) -> None:
        """Have an incident opened for each of these failing sites, and wait until each was decided on."""
        self.fail(sites)
        with self.webhook() as webhook:
            for start in range(0, len(sites), at_once):
                webhook.post(sites[start : start + at_once])
        undecided = "select count(*) from incidents where closed_at is null and decided = ''"
        self.until(lambda: self.count(undecided) == 0, f"{len(sites)} incidents to be decided on")

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is so; raise ProcessError where it takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise ProcessError(f"waited {_PATIENCE:.0f} s in vain for {what}")
            time.sleep(0.1)


class Webhook:
    """One connection to the webhook, kept open."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.refused = 0

    def __enter__(self) -> "Webhook":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, sites: Sequence[str]) -> float:
        """Post one notification about these sites until it is taken; return the seconds of the last try."""
        body = notification(sites)
        while True:
            began = time.perf_counter()
            self._connection.request("POST", "/webhook/alertmanager", body, self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            took = time.perf_counter() - began
            if answer.status == 200:
                return took
            if answer.status != 503:
                raise ProcessError(f"the webhook answered {answer.status}: {said[:200]!r}")
            self.refused += 1
            time.sleep(0.2)  # Alertmanager's own second try comes later still


class Bare:
    """One connection to the neighbours, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self) -> float:
        """Return the seconds of one small request."""
        began = time.perf_counter()
        self._connection.request("GET", "/api/v1/canaries")
        self._connection.getresponse().read()
        return time.perf_counter() - began


def notification(sites: Sequence[str]) -> bytes:
    """Return what Alertmanager posts when these sites are down, as long as a real one."""
    alerts = [
        {
            "status": "firing",
            "labels": {
                "alertname": "SiteDown", "site": site, "instance": f"https://{site}.example/",
                "severity": "critical", "part_of": site, "group": "acme", "outage": f"{site}-1",
                "reason": "status", "job": "sitemedic",
            },
            "annotations": {
                "summary": f"{site} is down", "description": f"https://{site}.example/ answers 500. " * 4,
                "runbook_url": "https://example.com/runbooks/SiteDown",
            },
            "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=sitemedic_site_down", "fingerprint": site,
        }
        for site in sites
    ]  # fmt: skip
    group = f'{{}}/{{alertname="SiteDown"}}:{{alertname="SiteDown", site="{sites[0]}"}}'
    return json.dumps(
        {
            "version": "4", "groupKey": group, "status": "firing", "receiver": "remediator",
            "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://127.0.0.1:9093", "alerts": alerts,
        }
    ).encode()  # fmt: skip


@contextmanager
def lab(folder: Path, shape: Shape) -> Iterator[Lab]:
    """Run a remediator of this shape to the end of the block. Raises ProcessError."""
    folder.mkdir()
    port, neighbours_port, token = free_port(), free_port(), secrets.token_hex(16)
    docker, database, sites_file = Docker.below(folder), folder / "remediator.db", folder / "sites.yml"
    asked = f"http://127.0.0.1:{neighbours_port}"
    environ = {**os.environ, "PATH": docker.path, "WEBHOOK_TOKEN": token, "API_TOKEN": secrets.token_hex(16)}
    command = (
        sys.executable, "-m", "stack", "remediator", f"--config.file={sites_file}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.url=sqlite:///{database}",
        f"--exporter.url={asked}", f"--alertmanager.url={asked}", "--timing=start_grace=0",
    )  # fmt: skip
    around = (
        sys.executable,
        "-m",
        "benchmarks.remediator_neighbours",
        str(neighbours_port),
        str(shape.sites),
    )
    with ExitStack() as stack:
        ssh = stack.enter_context(sshd(folder, docker))
        sites_file.write_text(shape.text(ssh), "utf-8")
        neighbours = stack.enter_context(running("neighbours", around, neighbours_port, folder))
        remediator = stack.enter_context(running("remediator", command, port, folder, environ))
        yield Lab(remediator, neighbours, docker, database, token)
