"""What a remediator stands between, in small: an exporter, an Alertmanager, and a server with one ledger."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient

from core.secrets import Secret
from core.servers.schema import PART as SERVERS
from core.servers.server import ActionError, Reason
from exporter.schema import PART as EXPORTER
from remediator.configuration.schema import PART
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.model.seen import Look
from remediator.service import Remediator, Settings
from remediator.timing import Timing
from remediator.web import create_app
from tests.remediator.databases import storage_url
from tests.waiting import until

WEBHOOK = {"Authorization": "Bearer webhook-token"}
API = {"Authorization": "Bearer api-token"}
HOSTILE = "<script>alert(1)</script>"
QUICK = Timing(
    reconcile=0.05,
    recheck=0.1,
    idle_recheck=0.1,
    probe_spacing=0.03,
    lease_ttl=2.0,
    ask_happened_after=0.1,
    settle_within=2.0,
    abandoned_cooldown=0.1,
    sites_max_age=0.0,
    start_grace=0.0,
    silences=0.05,
    storm_seen=0.05,
    notify=0.2,
    mail_look=0.05,
    mail_lag=0.2,
    mail_settles=0.1,
)
SITES = """
canaries: ["tcp://127.0.0.1:1"]
servers:
  web: {ssh: medic@198.51.100.1, linode: 7, may_reboot: true}
  db: {ssh: medic@198.51.100.2}
remediation: {cooldown: 0, storm_cooldown: 0, prove_within: 5, attempts: 3, max_unhealthy: 50%}
sites:
  - {name: www, url: "http://127.0.0.1:1/", recover: {server: web, container: nginx}}
  - {name: shop, url: "http://127.0.0.1:1/", recover: {server: db, container: shop}}
  - {name: blog, url: "http://127.0.0.1:1/"}
  - {name: wiki, url: "http://127.0.0.1:1/"}
  - {name: docs, url: "http://127.0.0.1:1/", recover: {server: web, container: docs, mode: observe}}
"""


class Exporter:
    """Answers as the exporter does; `failing` maps a site to the reason of its failure."""

    def __init__(self, sites: tuple[str, ...]) -> None:
        self.sites = sites
        self.failing: dict[str, str] = {}
        self.canaries = [True]
        self.gone = False
        self.containers: dict[str, Any] | None = None
        self.probes: list[str] = []
        self.healed: Callable[[str], bool] = lambda _site: False

    def fails(self, site: str) -> str | None:
        return None if self.healed(site) else self.failing.get(site)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if self.gone:
            return 503, {}
        if path == "/api/v1/canaries":
            found = [{"target": f"c{number}", "success": ok} for number, ok in enumerate(self.canaries)]
            return 200, {"canaries": found}
        if path == "/api/v1/sites":
            return 200, {"sites": [self._state(name) for name in self.sites]}
        if path == "/api/v1/containers" and self.containers is not None:
            return 200, self.containers
        site = query.get("site", [""])[0]
        if site not in self.sites:
            return 404, {"error": "unknown site"}
        self.probes.append(site)
        reason = self.fails(site)
        return 200, {"site": site, "success": reason is None, "reason": reason, "detail": f"why: {reason}"}

    def _state(self, name: str) -> dict[str, Any]:
        reason = self.fails(name)
        since = time.time() - 30 if reason else 0
        return {"site": name, "part_of": name, "success": reason is None, "reason": reason,
                "failing_since": since, "severity": "critical"}  # fmt: skip


@dataclass
class Alertmanager:
    """Takes alerts, and counts mails as it is told to; `mails` False: it has nobody to mail to."""

    told: list[dict[str, Any]] = field(default_factory=list)
    process: float = 1.0
    begun: int = 0
    given_up: int = 0
    requests: int = 0
    failed: int = 0
    late_failures: int = 0
    mails: bool = True
    gone: bool = False
    looks: int = 0
    silenced: set[str] = field(default_factory=set)
    silences: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        if self.gone:
            return 503, {}
        if path == "/metrics":
            page = self.page()
            self.failed, self.late_failures = self.failed + self.late_failures, 0
            self.looks += 1
            return 200, page
        if path == "/api/v2/status":
            receiver = "email_configs:" if self.mails else "webhook_configs:"
            return 200, {"config": {"original": f"receivers:\n- name: x\n  {receiver}\n"}}
        if path == "/api/v2/alerts" and not body:
            return 200, [_silenced(site) for site in sorted(self.silenced)]
        if path == "/api/v2/silences":
            return 200, self.silences or [_silence_of(site) for site in sorted(self.silenced)]
        self.told.extend(json.loads(body))
        return 200, {}

    def page(self) -> str:
        """Return its metrics; newer versions split what failed by reason."""
        return (
            f"process_start_time_seconds {self.process}\n"
            f"alertmanager_config_hash {float(self.mails)}\n"
            f'alertmanager_notifications_total{{integration="email"}} {self.begun}\n'
            f'alertmanager_notifications_total{{integration="webhook"}} 99\n'
            f'alertmanager_notifications_failed_total{{integration="email",reason="other"}} {self.given_up}\n'
            f'alertmanager_notifications_failed_total{{integration="email",reason="clientError"}} 0\n'
            f'alertmanager_notification_requests_total{{integration="email"}} {self.requests}\n'
            f'alertmanager_notification_requests_failed_total{{integration="email"}} {self.failed}\n'
            f'alertmanager_notification_requests_failed_total{{integration="webhook"}} 99\n'
        )

    def delivers(self) -> None:
        """Mail one thing."""
        self.begun += 1
        self.requests += 1

    def tries(self, times: int = 3) -> None:
        """Begin to mail one thing, in vain so far."""
        self.begun += 1
        self.requests += times
        self.failed += times

    def gives_up(self) -> None:
        """Give up what is being tried."""
        self.given_up += 1

    def starts_anew(self) -> None:
        """Forget what a process forgets."""
        self.process += 1
        self.begun = self.given_up = self.requests = self.failed = 0


def _silence_of(site: str) -> dict[str, Any]:
    named = {"alertname": "SiteDown", "site": site}
    matchers = [{"name": name, "value": value, "isRegex": False} for name, value in named.items()]
    return {"id": "1", "status": {"state": "active"}, "matchers": matchers}


def _silenced(site: str) -> dict[str, Any]:
    labels = {"alertname": "SiteDown", "site": site}
    return {"labels": labels, "status": {"state": "suppressed", "silencedBy": ["1"], "inhibitedBy": []}}


@contextmanager
def served(answer: Callable[[str, dict[str, list[str]], bytes], tuple[int, Any]]) -> Iterator[str]:
    """Serve JSON, or text as it is, on a loopback port; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = answer(parts.path, parse_qs(parts.query), body)
            text = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Ledger:
    """A file that says what really happened, one line an act."""

    path: Path

    def write(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


@dataclass
class LedgerAction:
    """An action whose only effect is a line in the ledger."""

    name: str
    ledger: Ledger
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    settling: Callable[[], Step] = lambda: Step(Progress.DONE, "settled")
    refuses: ActionError | None = None
    can_tell: bool = True

    def prepare(self, target: Target, world: World) -> Marks:
        if self.refuses is not None:
            raise self.refuses
        return {"lines": len(self.ledger.lines())}

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        return self.ledger.lines()[int(marks["lines"]) :] != [] if self.can_tell else None

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        self.before()
        self.ledger.write(f"{self.name} {target.site} {target.server.name} {target.label}")
        self.after()
        return {**marks, "done": True}

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        return self.settling()


@dataclass
class Lab:
    """A remediator with everything around it."""

    remediator: Remediator
    exporter: Exporter
    alertmanager: Alertmanager
    ledger: Ledger
    restart: LedgerAction
    reboot: LedgerAction
    client: FlaskClient
    sites_file: Path
    ssh: list[str] = field(default_factory=lambda: ["ok"])

    @property
    def told(self) -> list[dict[str, Any]]:
        return self.alertmanager.told

    def post(self, *sites: str, status: str = "firing", **labels: str) -> Any:
        always = {"alertname": "SiteDown", **labels}
        alerts = [{"status": status, "labels": {**always, "site": one}} for one in sites]
        body = {"version": "4", "groupKey": "k", "status": status, "receiver": "r", "alerts": alerts}
        return self.client.post("/webhook/alertmanager", json=body, headers=WEBHOOK)

    def incidents(self, site: str) -> list[dict[str, Any]]:
        found = self.client.get("/api/v1/incidents", headers=API).json["incidents"]
        return [one for one in found if one["site"] == site]

    def incident(self, site: str) -> dict[str, Any]:
        newest = self.incidents(site)[0]["id"]
        detail: dict[str, Any] = self.client.get(f"/api/v1/incidents/{newest}", headers=API).json
        return detail

    def wait(self, site: str, state: str, seconds: float = 5.0) -> dict[str, Any]:
        until(lambda: self.incidents(site)[0]["state"] == state, seconds, f"{site} {state}", every=0.02)
        return self.incident(site)

    def decided(self, site: str, reason: str, seconds: float = 5.0) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            every = self.incident(site)["decisions"]
            return next((one for one in every if one["reason"] == reason), None)

        return until(found, seconds, f"{site} decided {reason}", every=0.02) or {}

    def metric(self, name: str, **labels: str) -> float:
        return self.remediator.metrics.registry.get_sample_value(name, labels) or 0.0


def _looks(ssh: list[str]) -> Callable[[Target, World], Look]:
    """Return a look at a server that finds what `ssh` says: one word a look, the last one for good."""

    def look(_target: Target, world: World) -> Look:
        found = ssh.pop(0) if len(ssh) > 1 else ssh[0]
        return Look(world.now(), found, {"log_tail": [HOSTILE], "problems": [HOSTILE]})

    return look


def _settings(file: Path, exporter_url: str, alertmanager_url: str, others: dict[str, Any]) -> Settings:
    usual = {"console_url": "http://console.example", "console_password": Secret("console-password")}
    return Settings(
        config_file=file,
        parts=(EXPORTER, SERVERS, PART),
        storage_url=storage_url(file.parent),
        exporter_url=exporter_url,
        alertmanager_url=alertmanager_url,
        webhook_token=Secret("webhook-token"),
        api_token=Secret("api-token"),
        **usual | others,
    )


@contextmanager
def lab(
    folder: Path, sites: str = SITES, timing: Timing = QUICK, start: bool = True, **settings_too: Any
) -> Iterator[Lab]:
    """Make a lab below a folder; a restart heals a site once the ledger says so."""
    file = folder / "sites.yml"
    file.write_text(sites)
    ledger = Ledger(folder / "ledger")
    restart, reboot = LedgerAction("restart_container", ledger), LedgerAction("reboot_linode", ledger)
    alertmanager = Alertmanager()
    ssh = ["ok"]
    exporter = Exporter(("www", "shop", "blog", "wiki", "docs"))
    exporter.healed = lambda site: any(line.split()[1] == site for line in ledger.lines())
    with (
        served(lambda path, query, _body: exporter.answer(path, query)) as exporter_url,
        served(lambda path, _query, body: alertmanager.answer(path, body)) as alertmanager_url,
    ):
        usual = {"actions": {one.name: one for one in (restart, reboot)}, "look": _looks(ssh)}
        settings = _settings(
            file, exporter_url, alertmanager_url, {"timing": timing, **usual, **settings_too}
        )
        remediator = Remediator(settings)
        client = create_app(remediator).test_client()
        if start:
            remediator.start()
            until(lambda: remediator.silenced("www") is not None, 10, "Alertmanager's silences", every=0.01)
        try:
            yield Lab(remediator, exporter, alertmanager, ledger, restart, reboot, client, file, ssh)
        finally:
            remediator.stop(2.0)


def slower(timing: Timing = QUICK, **values: float) -> Timing:
    """Return a timing with some values changed."""
    return replace(timing, **values)  # type: ignore[arg-type]


UNREACHABLE = ActionError("no way in", reason=Reason.UNREACHABLE)
