"""The rendered configuration in a real Alertmanager, into a real SMTP server and webhook."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.mailing import trusted_tls
from tests.rendering import MAIL, rendered_from
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until
from tests.webhook_server import Webhook, webhook_server

pytestmark = pytest.mark.needs("prometheus-alertmanager")

SITES = """
defaults: {email: ops@acme.example}
alerting:
  critical: {group_wait: 300ms, group_interval: 600ms, repeat_interval: 1h}
  warning: {group_wait: 300ms, group_interval: 600ms, repeat_interval: 1h}
  shared_wait: 300ms
sites:
  - {name: plain, url: "http://127.0.0.1:1/"}
  - name: www
    url: http://127.0.0.1:2/
    email: web@acme.example
    recovery_email: boss@acme.example
    apps: [{name: api, url: "http://127.0.0.1:3/"}]
  - {name: untold, url: "http://127.0.0.1:4/", email: u@acme.example, recovery_email: []}
"""

SINCE = "2026-01-02 03:04:05 UTC"


@dataclass
class Delivery:
    """Alertmanager and all that it delivers to."""

    alertmanager: AlertmanagerServer
    mailbox: Mailbox
    webhook: Webhook

    def down(self, site: str, what: str = "answered 500", severity: str = "critical") -> None:
        self.alertmanager.fire(labels(site, severity=severity), **annotations(site, what))

    def up(self, site: str) -> None:
        self.alertmanager.resolve(labels(site), **annotations(site, "answered 500"))


def labels(site: str, alertname: str = "SiteDown", severity: str = "critical") -> dict[str, str]:
    return {
        "alertname": alertname,
        "site": site,
        "part_of": site.split("/")[0],
        "outage": f"site:{site.split('/')[0]}",
        "instance": f"https://{site}.example/",
        "server": "web-1",
        "severity": severity,
    }


def annotations(site: str, what: str) -> dict[str, str]:
    return {
        "summary": f"{site}: {what}",
        "description": f"{site} has failed every probe since {SINCE}.",
        "reason": "status",
        "since": SINCE,
        "runbook_url": "docs/runbooks/SiteDown.md",
    }


@contextmanager
def running(folder: Path, *, given: str = "right", wanted: str = "right") -> Iterator[Delivery]:
    with (
        trusted_tls(folder) as tls,
        smtp_server(("medic", wanted), tls=tls) as mailbox,
        webhook_server() as webhook,
    ):
        environ = {
            **MAIL,
            "SMTP_TLS": "starttls",
            "SMTP_PORT": str(mailbox.port),
            "SMTP_USERNAME": "medic",
            "SMTP_PASSWORD": given,
            "REMEDIATOR_PORT": str(webhook.port),
            "WEBHOOK_TOKEN": "the-webhook-token",
            "PUBLIC_URL": "https://status.acme.example",
        }
        output = rendered_from(folder, SITES, environ)
        with alertmanager_server(output.rendered.alertmanager, folder / "alertmanager") as alertmanager:
            yield Delivery(alertmanager, mailbox, webhook)


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    with running(tmp_path) as found:
        yield found


def test_a_site_that_is_down_is_mailed_to_its_people_and_its_recovery_to_theirs(delivery: Delivery) -> None:
    delivery.down("www")
    (mail,) = delivery.mailbox.wait_for(1)
    assert mail.recipients == ("web@acme.example",)
    assert mail.sender == "medic@acme.example"
    assert mail.encrypted
    assert mail.subject == "[DOWN] www: answered 500"
    delivery.up("www")
    recovered = delivery.mailbox.wait_for(2)[1]
    assert recovered.recipients == ("boss@acme.example",)
    assert recovered.subject == "[RECOVERED] www"
    assert recovered.message["References"] == mail.message["References"]


def test_both_bodies_say_what_since_when_why_and_where_to_look(delivery: Delivery) -> None:
    delivery.down("plain", "answered <500> & more")
    (mail,) = delivery.mailbox.wait_for(1)
    assert mail.recipients == ("ops@acme.example",)
    assert mail.message["Auto-Submitted"] == "auto-generated"
    text, html = mail.body("plain"), mail.body("html")
    for body in (text, html):
        for piece in (
            SINCE,
            "status",
            "https://plain.example/",
            "web-1",
            "https://status.acme.example/runbooks/SiteDown",
            "https://status.acme.example/",
        ):
            assert piece in body
    assert "answered <500> & more" in text
    assert "answered &lt;500&gt; &amp; more" in html
    assert 'name="viewport"' in html
    assert "<no value>" not in text + html
    assert "ZgotmplZ" not in html


def test_what_a_site_is_called_or_answers_is_never_markup(delivery: Delivery) -> None:
    instances = ('https://x.example/"><script>alert(1)</script>', "javascript:alert(2)")
    for number, instance in enumerate(instances):
        name = f"<img src=x onerror=alert({number})>"
        delivery.alertmanager.fire(
            labels("plain") | {"site": name, "part_of": f"p{number}", "instance": instance},
            **annotations(name, '<a href="javascript:alert(3)">') | {"runbook_url": "javascript:alert(4)"},
        )
    for mail in delivery.mailbox.wait_for(2):
        html = mail.body("html")
        assert not re.search(r"<(script|img)|<a href=.?javascript|ZgotmplZ", html, re.IGNORECASE)
        assert "&lt;img src=x onerror=alert(" in html
        assert "<img src=x onerror=alert(" in mail.body("plain")


def test_a_site_and_its_app_are_one_mail_and_two_webhooks(delivery: Delivery) -> None:
    delivery.down("www")
    delivery.down("www/api", "does not answer in time")
    (mail,) = delivery.mailbox.wait_for(1)
    assert mail.subject == "[DOWN] www, www/api"
    assert "www: answered 500" in mail.body()
    assert "www/api: does not answer in time" in mail.body()
    until(lambda: len(delivery.webhook.alerts("firing")) >= 2, 10, "both webhooks")
    assert len({posted.payload["groupKey"] for posted in delivery.webhook.requests}) == 2
    assert len(delivery.mailbox.mails) == 1


def test_what_is_over_is_told_beside_what_goes_on(delivery: Delivery) -> None:
    delivery.down("www")
    delivery.down("www/api")
    delivery.mailbox.wait_for(1)
    delivery.up("www/api")
    mail = delivery.mailbox.wait_for(2)[1]
    assert mail.subject == "[DOWN] www still down, www/api recovered"
    assert mail.recipients == ("web@acme.example",)
    firing, over = mail.body().split("Over by now:")
    assert "www/api:" not in firing
    assert "www/api" in over


def test_the_webhook_is_shown_its_token_and_the_end_of_the_alert(delivery: Delivery) -> None:
    delivery.down("plain")
    until(lambda: delivery.webhook.requests, 5, "the webhook")
    posted = delivery.webhook.requests[0]
    assert posted.path == "/webhook/alertmanager"
    assert posted.authorization == "Bearer the-webhook-token"
    delivery.up("plain")
    until(lambda: delivery.webhook.alerts("resolved"), 15, "the end of the alert")


def test_slowness_is_mailed_but_neither_while_the_site_is_down_nor_to_the_remediator(
    delivery: Delivery,
) -> None:
    delivery.down("plain")
    delivery.alertmanager.fire(labels("plain", "SiteSlow", "warning"), summary="plain: answers slowly")
    delivery.alertmanager.fire(labels("www", "SiteSlow", "warning"), summary="www: answers slowly")
    mails = delivery.mailbox.wait_for(2)
    assert sorted(mail.subject for mail in mails) == [
        "[DOWN] plain: answered 500",
        "[SLOW] www: answers slowly",
    ]
    names = {alert["labels"]["alertname"] for alert in delivery.webhook.alerts("firing")}
    assert names == {"SiteDown"}


def test_who_wants_no_mail_about_recoveries_gets_none(delivery: Delivery) -> None:
    delivery.down("untold")
    delivery.mailbox.wait_for(1)
    delivery.up("untold")
    delivery.down("plain")
    mails = delivery.mailbox.wait_for(2)
    until(lambda: delivery.webhook.alerts("resolved"), 15, "the end of the alert")
    assert [mail.subject for mail in mails] == ["[DOWN] untold: answered 500", "[DOWN] plain: answered 500"]


def test_an_outage_of_many_is_one_readable_mail(delivery: Delivery) -> None:
    for number in range(40):
        delivery.down(f"www/app-{number}")
    mails = delivery.mailbox.wait_for(1)
    until(lambda: any("37 more" in mail.subject for mail in delivery.mailbox.mails), 10, "one mail of all")
    mail = next(mail for mail in delivery.mailbox.mails if "37 more" in mail.subject)
    assert mail.subject.startswith("[DOWN] www/app-")
    assert "… and 10 more" in mail.body()
    assert len(mails) <= 2


def test_sitemedics_own_alerts_and_alerts_with_nothing_but_a_name_are_readable(delivery: Delivery) -> None:
    delivery.alertmanager.fire({"alertname": "ExporterDown"}, summary="The exporter does not answer")
    delivery.alertmanager.fire({"alertname": "Bare"})
    delivery.alertmanager.fire(
        labels("plain", "SiteNeedsHuman") | {"incident": "7"}, summary="plain: needs you"
    )
    mails = delivery.mailbox.wait_for(3)
    assert {mail.subject for mail in mails} == {
        "[SITEMEDIC] The exporter does not answer",
        "[SITEMEDIC] Bare",
        "[NEEDS YOU] plain: needs you",
    }
    assert not any("<no value>" in mail.body() for mail in mails)


def test_the_watchdog_mails_nobody(delivery: Delivery) -> None:
    delivery.alertmanager.fire({"alertname": "Watchdog", "severity": "none"}, summary="Alerting works")
    delivery.down("plain")
    (mail,) = delivery.mailbox.wait_for(1)
    assert mail.subject == "[DOWN] plain: answered 500"


def test_a_wrong_password_is_counted_and_said_in_the_log_without_showing_it(tmp_path: Path) -> None:
    with running(tmp_path, given="wr0ng-guess") as delivery:
        delivery.down("plain")
        until(
            lambda: delivery.alertmanager.metric(
                "alertmanager_notification_requests_failed_total", integration="email"
            ),
            30,
            "the failure to be counted",
        )
        until(lambda: delivery.webhook.requests, 5, "the webhook all the same")
        log = delivery.alertmanager.log.read_text()
        assert "535" in log
        assert "wr0ng-guess" not in log
        assert delivery.mailbox.refused_logins > 0
        assert delivery.mailbox.mails == []


def test_an_address_that_is_refused_keeps_no_mail_from_the_others(tmp_path: Path) -> None:
    gone, here = "gone@acme.example", ["ops@acme.example", "night@acme.example"]
    sites = SITES.replace("{email: ops@acme.example}", f"{{email: [{gone}, {', '.join(here)}]}}")
    with smtp_server(refused=[gone]) as mailbox, webhook_server() as webhook:
        environ = {**MAIL, "SMTP_PORT": str(mailbox.port), "REMEDIATOR_PORT": str(webhook.port)}
        config = rendered_from(tmp_path, sites, environ).rendered.alertmanager
        with alertmanager_server(config, tmp_path / "alertmanager") as alertmanager:
            alertmanager.fire(labels("plain"), **annotations("plain", "answered 500"))
            mailbox.wait_for(2, 30)
            alertmanager.resolve(labels("plain"), **annotations("plain", "answered 500"))
            mails = mailbox.wait_for(4, 30)
    told = sorted((mail.recipients[0], mail.subject.partition(" ")[0]) for mail in mails)
    assert told == [(who, word) for who in sorted(here) for word in ("[DOWN]", "[RECOVERED]")]


def test_an_alertmanager_that_is_started_anew_mails_nothing_twice(tmp_path: Path) -> None:
    with smtp_server() as mailbox, webhook_server() as webhook:
        environ = {**MAIL, "SMTP_PORT": str(mailbox.port), "REMEDIATOR_PORT": str(webhook.port)}
        config = rendered_from(tmp_path, SITES, environ).rendered.alertmanager
        with alertmanager_server(config, tmp_path / "alertmanager") as alertmanager:
            alertmanager.fire(labels("plain"), summary="plain: answered 500")
            mailbox.wait_for(1)
            # The mail is here before Alertmanager has heard that it is, and noted that.
            until(
                lambda: alertmanager.metric(
                    "alertmanager_notification_latency_seconds_count", integration="email"
                ),
                10,
                "the delivery to be noted",
            )
        with alertmanager_server(config, tmp_path / "alertmanager") as alertmanager:
            alertmanager.fire(labels("plain"), summary="plain: answered 500")
            alertmanager.fire(labels("www"), summary="www: answered 500")
            mails = mailbox.wait_for(2)
        assert [mail.subject for mail in mails] == ["[DOWN] plain: answered 500", "[DOWN] www: answered 500"]
