"""The rendered configuration in a real Prometheus and Alertmanager: an outage and what may disturb it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.alertmanager_server import alertmanager_server
from tests.exporter_stand_in import ExporterStandIn, exporter_stand_in
from tests.ports import free_port
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.rendering import MAIL, rendered_from
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until
from tests.webhook_server import Webhook, webhook_server

pytestmark = pytest.mark.needs("prometheus", "prometheus-alertmanager")

SITES = """
defaults: {email: ops@acme.example}
alerting:
  scrape_interval: 200ms
  critical: &at_once {group_wait: 0s, group_interval: 500ms, repeat_interval: 1h}
  warning: *at_once
sites: [{name: www, url: "http://www.example/"}]
"""


@dataclass
class Chain:
    """From the exporter's page to mails and webhooks."""

    exporter: ExporterStandIn
    mailbox: Mailbox
    webhook: Webhook
    config: Path
    data: Path
    port: int

    def prometheus(self) -> AbstractContextManager[PrometheusServer]:
        return prometheus_server(self.config, self.data, self.port)

    @property
    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.mailbox.mails]


@contextmanager
def running(folder: Path) -> Iterator[Chain]:
    with exporter_stand_in() as exporter, smtp_server() as mailbox, webhook_server() as webhook:
        ports = {"PROMETHEUS_PORT": free_port(), "ALERTMANAGER_PORT": free_port()}
        environ = MAIL | {
            "SMTP_PORT": str(mailbox.port),
            "EXPORTER_PORT": str(exporter.port),
            "REMEDIATOR_PORT": str(webhook.port),
            **{name: str(port) for name, port in ports.items()},
        }
        done = rendered_from(folder, SITES, environ).rendered
        with alertmanager_server(done.alertmanager, folder / "alertmanager", ports["ALERTMANAGER_PORT"]):
            yield Chain(
                exporter, mailbox, webhook, done.prometheus, folder / "prometheus", ports["PROMETHEUS_PORT"]
            )


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with running(tmp_path) as found:
        yield found


def some_evaluations(prometheus: PrometheusServer, exporter: ExporterStandIn) -> None:
    """Let the rules see what the exporter tells now, several times over."""
    scrapes, before = exporter.scrapes, prometheus.metric("prometheus_rule_evaluations_total")
    until(lambda: exporter.scrapes >= scrapes + 4, 10, "four scrapes")
    until(
        lambda: prometheus.metric("prometheus_rule_evaluations_total") >= before + 100,
        10,
        "a hundred rules to be evaluated",
    )


def active_since(prometheus: PrometheusServer) -> set[str]:
    return {alert["activeAt"] for alert in prometheus.alerts("SiteDown")}


def test_one_outage_is_one_mail_and_one_recovery_whatever_happens_to_the_exporter(chain: Chain) -> None:
    exporter = chain.exporter
    with chain.prometheus() as prometheus:
        until(lambda: prometheus.value('up{job="sitemedic-exporter"}'), 10, "the exporter to be scraped")
        exporter.fails("status")
        until(lambda: prometheus.alerts("SiteDown"), 10, "SiteDown")
        began = active_since(prometheus)
        chain.mailbox.wait_for(1)
        exporter.fails("timeout")
        some_evaluations(prometheus, exporter)
        exporter.answering = False
        some_evaluations(prometheus, exporter)
        exporter.starts_anew()
        exporter.answering = True
        some_evaluations(prometheus, exporter)
        exporter.group = "edited"
        exporter.fails("refused")
        some_evaluations(prometheus, exporter)
        assert active_since(prometheus) == began
        assert chain.subjects == ["[DOWN] www: answered with an unexpected status"]
        exporter.succeeds()
        assert chain.mailbox.wait_for(2)[1].subject.startswith("[RECOVERED] www")
        assert prometheus.metric("prometheus_rule_evaluation_failures_total") == 0
    until(lambda: chain.webhook.alerts("resolved"), 10, "the webhook's resolve")
    assert {alert["labels"]["group"] for alert in chain.webhook.alerts("firing")} == {"acme"}


def test_a_prometheus_that_is_started_anew_neither_resolves_nor_mails_again(chain: Chain) -> None:
    exporter = chain.exporter
    with chain.prometheus() as prometheus:
        until(lambda: prometheus.value('up{job="sitemedic-exporter"}'), 10, "the exporter to be scraped")
        exporter.fails("status")
        chain.mailbox.wait_for(1)
    # While it is away the exporter starts anew and a label is edited: both at the worst moment.
    exporter.starts_anew()
    exporter.group = "edited"
    with chain.prometheus() as prometheus:
        until(lambda: prometheus.alerts("SiteDown"), 10, "SiteDown, held")
        some_evaluations(prometheus, exporter)
        exporter.fails("status")
        some_evaluations(prometheus, exporter)
        assert prometheus.metric("prometheus_rule_evaluation_failures_total") == 0
        assert len(prometheus.alerts("SiteDown")) == 1
        assert len(chain.subjects) == 1
        assert chain.webhook.alerts("resolved") == []
        exporter.succeeds()
        assert chain.mailbox.wait_for(2)[1].subject.startswith("[RECOVERED] www")


@pytest.mark.full
def test_a_prometheus_that_is_started_anew_fires_nothing_about_a_site_that_is_well(chain: Chain) -> None:
    with chain.prometheus() as prometheus:
        until(lambda: prometheus.value('up{job="sitemedic-exporter"}'), 10, "the exporter to be scraped")
    with chain.prometheus() as prometheus:
        some_evaluations(prometheus, chain.exporter)
        assert prometheus.alerts("SiteDown") == []
        assert chain.subjects == []
        assert [alert["labels"]["alertname"] for alert in prometheus.alerts()] == ["Watchdog"]


DAY = 86400


@pytest.mark.full
def test_each_warning_of_a_certificate_is_a_mail_and_none_says_that_it_is_over_before_it_is(
    chain: Chain,
) -> None:
    rules = chain.config.parent / "rules" / "certificates.yml"
    rules.write_text(rules.read_text().replace("[10m]", "[1s]"))
    exporter = chain.exporter
    with chain.prometheus() as prometheus:
        for number, (left, words) in enumerate(
            ((20 * DAY, "in 20 days"), (5 * DAY, "in 5 days"), (3600, "within a day"), (-1, "has ended")), 1
        ):
            exporter.expiry = time.time() + left
            assert words in chain.mailbox.wait_for(number, 20)[-1].subject
            some_evaluations(prometheus, exporter)
        assert [subject.split("]")[0] for subject in chain.subjects] == ["[CERTIFICATE"] * 4
        exporter.expiry = time.time() + 300 * DAY
        assert chain.mailbox.wait_for(5, 20)[-1].subject.startswith("[RESOLVED] www")
        some_evaluations(prometheus, exporter)
        assert len(chain.subjects) == 5
        assert prometheus.metric("prometheus_rule_evaluation_failures_total") == 0
