"""Everything from a site to a mail for a test: each part is real, and can be stopped, killed and started."""

import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.exporter.running import ROOT
from tests.ports import free_port
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.rendering import MAIL, Output, rendered_from
from tests.service import Service, service
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until
from tests.webhook_server import Webhook, webhook_server

_QUICK = {"group_wait": "2s", "group_interval": "2s", "repeat_interval": "1h"}
# As with the default settings: longer than an evaluation, and longer than two.
ALERTING = {"scrape_interval": "1s", "critical": _QUICK, "warning": _QUICK, "shared_wait": "5s"}
_ABOUT_OUTAGES = ("[DOWN]", "[IS IT US?]", "[RECOVERED]")
_NAMES = ("EXPORTER_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")


@dataclass
class Chain:
    """The parts that run, and what they have sent."""

    folder: Path
    mailbox: Mailbox
    webhook: Webhook
    chat: Webhook
    """Told the same as people are by mail, in a form that a test can read."""
    sites: dict[str, Any]
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in _NAMES})
    _running: dict[str, tuple[ExitStack, Service]] = field(default_factory=dict)

    def render(self) -> Output:
        """Render what `sites` says now, as the launcher does, and write sites.yml."""
        environ = MAIL | {
            "SMTP_PORT": str(self.mailbox.port),
            "REMEDIATOR_PORT": str(self.webhook.port),
            "WEBHOOK_URL": f"http://127.0.0.1:{self.chat.port}/",
            **{name: str(port) for name, port in self.ports.items()},
        }
        text = yaml.safe_dump(self.sites, sort_keys=False, allow_unicode=True)
        return rendered_from(self.folder, text, environ)

    def start(self, *names: str) -> None:
        """Start parts by name; all of them in the launcher's order without any."""
        for name in names or ("exporter", "alertmanager", "prometheus"):
            stack = ExitStack()
            self._running[name] = stack, stack.enter_context(getattr(self, f"_{name}")())

    def stop(self, *names: str, kill: bool = False) -> None:
        """Stop parts by name, in the opposite order of their start without any; `kill` is SIGKILL."""
        for name in names or tuple(reversed(self._running)):
            stack, running = self._running.pop(name)
            if kill:
                running.process.kill()
                running.process.wait(5)
            stack.close()

    def edit(self, sites: Mapping[str, Any]) -> None:
        """Change sites.yml while everything runs: the exporter sees it by itself, Alertmanager is told."""
        self.sites = dict(sites)
        done = self.render()
        self._running["alertmanager"][1].process.send_signal(signal.SIGHUP)
        wanted = {site.name for site in done.document.sites}
        until(lambda: self.known() == wanted, 30, "the exporter to follow")

    def known(self) -> set[str]:
        """Return the names of the sites that the exporter knows."""
        return {site["site"] for site in self._service("exporter").get("/api/v1/sites").json()["sites"]}

    @property
    def prometheus(self) -> PrometheusServer:
        """Return the running Prometheus."""
        found = self._service("prometheus")
        assert isinstance(found, PrometheusServer)
        return found

    @property
    def alertmanager(self) -> AlertmanagerServer:
        """Return the running Alertmanager."""
        found = self._service("alertmanager")
        assert isinstance(found, AlertmanagerServer)
        return found

    @property
    def subjects(self) -> list[str]:
        """Return the subjects of all mails so far."""
        return [mail.subject for mail in self.mailbox.mails]

    @property
    def outages(self) -> list[str]:
        """Return the subjects of the mails about outages, without how long one lasted."""
        return [
            re.sub(r"( within a minute| after \w+)$", "", subject)
            for subject in self.subjects
            if subject.startswith(_ABOUT_OUTAGES)
        ]

    def wait_for_outages(self, count: int, seconds: float = 60) -> list[str]:
        """Return the subjects of the mails about outages once there are `count` of them."""
        until(lambda: len(self.outages) >= count, seconds, f"{count} mails about outages ({self.subjects})")
        return self.outages

    def told(self, site: str, alertname: str = "SiteDown") -> tuple[str, ...]:
        """Return what people were told of a site, in order, each change once: `firing`, `resolved`."""
        said = [
            alert["status"]
            for posted in list(self.chat.requests)
            for alert in posted.payload["alerts"]
            if alert["labels"]["alertname"] == alertname and alert["labels"].get("site", "") == site
        ]
        return tuple(status for status, _ in groupby(said))

    def posted(self, status: str) -> list[str]:
        """Return the site of each alert of this status that the webhook was sent."""
        return [alert["labels"]["site"] for alert in self.webhook.alerts(status)]

    def sees(self, site: str) -> None:
        """Wait until Prometheus knows that the site is well."""
        expression = f'sitemedic_failing_since_timestamp_seconds{{site="{site}"}} == 0'
        until(lambda: self.prometheus.query(expression), 60, f"{site} to be seen well")

    def evaluations(self, count: int = 4, every: float = 1) -> None:
        """Let Prometheus evaluate the sites' rules so many times more."""
        before = self._evaluated()
        until(lambda: self._evaluated() >= before + count, 2 * count * every + 30, f"{count} evaluations")

    def pace(self, seconds: int) -> None:
        """Have rules evaluated more rarely than Prometheus scrapes."""
        path = self.folder / "rendered/prometheus/prometheus.yml"
        text = path.read_text("utf-8")
        path.write_text(text.replace("evaluation_interval: 1s", f"evaluation_interval: {seconds}s"))

    def evaluate_every(self, seconds: int) -> None:
        """Change the pace of the running Prometheus."""
        self.pace(seconds)
        self.prometheus.process.send_signal(signal.SIGHUP)
        until(lambda: self._interval() == seconds, 30, "the new pace")

    def evaluated_at(self, after: float = 0.0) -> float:
        """Return when Prometheus last evaluated the sites' rules, if later than `after`; else 0."""
        name = "prometheus_rule_group_last_evaluation_timestamp_seconds"
        found = max(0.0, self.prometheus.metric(name, rule_group=self._rule_group))
        return found if found > after else 0.0

    def _interval(self) -> float:
        return self.prometheus.metric("prometheus_rule_group_interval_seconds", rule_group=self._rule_group)

    def _evaluated(self) -> float:
        return self.prometheus.metric("prometheus_rule_group_iterations_total", rule_group=self._rule_group)

    @property
    def _rule_group(self) -> str:
        return f"{self.folder}/rendered/prometheus/rules/sites.yml;sites"

    def down_and_mailed(self, subject: str) -> None:
        """Wait for the first mail, which says that something is down, and for the webhook."""
        assert self.wait_for_outages(1)[-1] == subject, self.subjects
        until(lambda: self.webhook.alerts("firing"), 30, "the webhook")
        until(self._noted, 30, "Alertmanager to have noted what it has sent")

    def _noted(self) -> bool:
        counted = self.alertmanager.metric(
            "alertmanager_notification_latency_seconds_count", integration="email"
        )
        return counted >= 1

    def _service(self, name: str) -> Service:
        return self._running[name][1]

    def _exporter(self) -> Any:
        port = self.ports["EXPORTER_PORT"]
        arguments = ["-m", "stack", "exporter", f"--config.file={self.folder / 'sites.yml'}"]
        return service(
            sys.executable,
            [*arguments, f"--web.listen-address=127.0.0.1:{port}"],
            f"http://127.0.0.1:{port}",
            self.folder / "exporter.log",
            "/-/ready",
            ROOT,
        )

    def _alertmanager(self) -> Any:
        config, data = self.folder / "rendered/alertmanager/alertmanager.yml", self.folder / "alertmanager"
        return alertmanager_server(config, data, self.ports["ALERTMANAGER_PORT"])

    def _prometheus(self) -> Any:
        config, data = self.folder / "rendered/prometheus/prometheus.yml", self.folder / "prometheus"
        return prometheus_server(config, data, self.ports["PROMETHEUS_PORT"])


@contextmanager
def alerting_chain(folder: Path, sites: list[dict[str, Any]], **top: Any) -> Iterator[Chain]:
    """Run everything on these sites until the block ends; probes, scrapes and rules once a second.

    A probe may take nearly all of its second, and three of them must fail: the sites of a test answer from
    the test's own process, which waits for its turn on a busy machine.
    """
    defaults = {"email": "ops@acme.example", "interval": "1s", "timeout": "900ms", "alert": {"after": "3s"}}
    document = {"defaults": defaults, "alerting": ALERTING, "sites": sites, **top}
    with smtp_server() as mailbox, webhook_server() as webhook, webhook_server() as chat:
        chain = Chain(folder, mailbox, webhook, chat, document)
        chain.render()
        try:
            chain.start()
            yield chain
        finally:
            chain.stop()
