"""How many mails there are of what happens, and when: the rendered configuration in a real Alertmanager."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.alerting_chain import alerting_chain
from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.exporter.running import Site, site
from tests.rendering import MAIL, rendered_from
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until
from tests.webhook_server import Webhook, webhook_server

pytestmark = pytest.mark.needs("prometheus", "prometheus-alertmanager")

INTERVAL, HEALING = 0.8, 6.0
# A warning waits longer than all but healing: once it is mailed, what came before it has been.
SITES = f"""
defaults: {{email: ops@acme.example}}
alerting:
  critical: {{group_wait: 500ms, group_interval: {INTERVAL:g}s, repeat_interval: 1h}}
  warning: {{group_wait: 1s, group_interval: {INTERVAL:g}s, repeat_interval: 1h}}
  shared_wait: 900ms
  healing_time: {HEALING:g}s
servers: {{web-1: {{docker: local}}}}
sites:
  - {{name: a, url: "http://x/", recover: {{server: web-1, container: a}}}}
  - {{name: patient, url: "http://x/", notify: healing_failed, recover: {{server: web-1, container: p}}}}
"""
FIVE = ("a", "b", "c", "d", "e")
SERVER, MOST = {"server": "web-1", "outage": "server:web-1"}, {"outage": "most-sites"}


@dataclass
class Noise:
    """Alertmanager and what it sends to people and to the remediator."""

    alertmanager: AlertmanagerServer
    mailbox: Mailbox
    webhook: Webhook

    def fire(self, alertname: str, *sites: str, **more: str) -> None:
        """Have an alert fire for each of the sites."""
        alerts = [
            {"labels": _labels(alertname, name, more), "annotations": {"summary": f"{name}: {alertname}"}}
            for name in sites
        ]
        self.alertmanager.post("/api/v2/alerts", alerts)

    def end(self, alertname: str, *sites: str, **more: str) -> None:
        """Have it end."""
        for name in sites:
            self.alertmanager.resolve(_labels(alertname, name, more), summary=f"{name}: {alertname}")

    def webhooks(self, *sites: str) -> None:
        """Wait until the remediator has heard of all these sites, each in a post of its own."""
        until(lambda: {*sites} <= self._posted(), 20, f"webhooks of {sites}")
        for posted in self.webhook.requests:
            assert len({alert["labels"]["site"] for alert in posted.payload["alerts"]}) == 1

    def settled(self) -> list[str]:
        """Let a mail that is sent after all others come; return the subjects before it."""
        before = len(self.mailbox.mails)
        self.alertmanager.fire({"alertname": "Last", "at": str(time.time())}, summary="last")
        until(lambda: any("last" in subject for subject in self.subjects[before:]), 20, "the last mail")
        return [subject for subject in self.subjects if "last" not in subject]

    @property
    def subjects(self) -> list[str]:
        """Return the subjects of all mails so far."""
        return [mail.subject for mail in self.mailbox.mails]

    def _posted(self) -> set[str]:
        return {alert["labels"]["site"] for alert in self.webhook.alerts("firing")}


def _labels(alertname: str, name: str, more: Mapping[str, str]) -> dict[str, str]:
    own = {"alertname": alertname, "site": name, "part_of": name.split("/")[0], "severity": "critical"}
    return {**own, "outage": f"site:{name}", **more} if alertname == "SiteDown" else {**own, **more}


@pytest.fixture
def noise(tmp_path: Path) -> Iterator[Noise]:
    with smtp_server() as mailbox, webhook_server() as webhook:
        environ = {**MAIL, "SMTP_PORT": str(mailbox.port), "REMEDIATOR_PORT": str(webhook.port)}
        config = rendered_from(tmp_path, SITES, environ).rendered.alertmanager
        with alertmanager_server(config, tmp_path / "alertmanager") as alertmanager:
            yield Noise(alertmanager, mailbox, webhook)


def test_a_dead_server_is_one_mail_that_names_all_its_sites_and_a_webhook_of_each(noise: Noise) -> None:
    noise.fire("SiteDown", *FIVE[:3], **SERVER)
    noise.webhooks(*FIVE[:3])
    noise.fire("SiteDown", *FIVE[3:], **SERVER, severity="warning")
    noise.webhooks(*FIVE)
    (mail,) = noise.mailbox.wait_for(1)
    assert all(f"{name}: SiteDown" in mail.body() for name in FIVE)
    assert len(noise.settled()) == 1


def test_the_mails_of_a_recovery_say_who_is_back_and_who_is_not(noise: Noise) -> None:
    noise.fire("SiteDown", *FIVE, **SERVER)
    noise.mailbox.wait_for(1)
    noise.end("SiteDown", "a", "b", **SERVER)
    some = noise.mailbox.wait_for(2)[1]
    assert some.subject.startswith("[DOWN]")
    down, over = some.body().split("Over by now:")
    assert [name for name in FIVE if f"\n{name}: SiteDown" in down] == ["c", "d", "e"]
    assert [name for name in FIVE if f"\n{name}: SiteDown" in over] == ["a", "b"]
    noise.end("SiteDown", *FIVE[2:], **SERVER)
    last = noise.mailbox.wait_for(3)[2]
    assert last.subject.startswith("[RECOVERED]")
    assert [name for name in FIVE if f"\n{name}: SiteDown" in last.body()] == ["c", "d", "e"]


def test_who_joins_and_leaves_makes_one_mail_for_each_group_interval_at_most(noise: Noise) -> None:
    noise.fire("SiteDown", *FIVE, **SERVER)
    noise.mailbox.wait_for(1)
    began = time.monotonic()
    for number in range(12):
        noise.fire("SiteDown", f"joins-{number}", **SERVER)
        noise.end("SiteDown", FIVE[number % 4], **SERVER)
        noise.webhooks(f"joins-{number}")
        noise.fire("SiteDown", FIVE[number % 4], **SERVER)
    mails = len(noise.settled())
    assert 2 <= mails <= 2 + (time.monotonic() - began) / INTERVAL


def test_most_sites_at_once_are_one_mail_that_asks_whether_it_is_us(noise: Noise) -> None:
    noise.alertmanager.fire(
        {"alertname": "MostSitesDown", "severity": "critical", **MOST}, summary="5 of 6 sites are down"
    )
    noise.fire("SiteDown", *FIVE, "patient", **MOST)
    noise.webhooks(*FIVE, "patient")
    (mail,) = noise.mailbox.wait_for(1)
    assert mail.subject.startswith("[IS IT US?] 5 of 6 sites")
    assert all(f"{name}: SiteDown" in mail.body() for name in (*FIVE, "patient"))
    assert len(noise.settled()) == 1


def test_a_site_and_its_apps_are_one_mail(noise: Noise) -> None:
    noise.fire("SiteDown", "a", "a/api", "a/db", outage="site:a")
    noise.fire("SiteDown", "other")
    noise.webhooks("a", "a/api", "a/db", "other")
    first, second = sorted(noise.mailbox.wait_for(2), key=lambda mail: mail.subject)
    assert first.subject == "[DOWN] a, a/api, a/db"
    assert second.subject == "[DOWN] other: SiteDown"
    assert len(noise.settled()) == 2


@pytest.mark.parametrize("alertname", ["SiteSlow", "ExporterStale"])
def test_two_hundred_sites_with_the_same_trouble_are_a_mail_or_two(noise: Noise, alertname: str) -> None:
    noise.fire(alertname, *(f"site-{number}" for number in range(200)), severity="warning")
    noise.mailbox.wait_for(1)
    subjects = noise.settled()
    assert 1 <= len(subjects) <= 2
    assert all("more" in subject for subject in subjects)
    assert noise.webhook.requests == []


def test_sites_of_a_server_that_need_a_human_are_one_mail(noise: Noise) -> None:
    noise.fire("SiteNeedsHuman", *FIVE, server="web-1", incident="7")
    noise.fire("SiteNeedsHuman", "elsewhere", server="db-1", incident="8")
    noise.mailbox.wait_for(2)
    subjects = sorted(noise.settled())
    assert [subject.startswith("[NEEDS YOU]") for subject in subjects] == [True, True]
    assert ["elsewhere" in subject for subject in subjects].count(True) == 1


def test_what_a_site_does_besides_is_silent_while_it_is_down(noise: Noise) -> None:
    noise.fire("SiteDown", "a")
    noise.webhooks("a")
    beside = ("SiteSlow", "SiteFlapping", "SiteErrorBudgetBurn")
    for alertname in beside:
        noise.fire(alertname, "a", severity="warning")
    noise.fire("SiteSlow", "b", severity="warning")
    noise.mailbox.wait_for(2)
    assert sorted(noise.settled()) == ["[DOWN] a: SiteDown", "[SLOW] b: SiteSlow"]
    noise.end("SiteDown", "a")
    words = ("[SLOW]", "[FLAPPING]", "[BUDGET]")
    until(
        lambda: all(any(word in one and " a" in one for one in noise.subjects) for word in words),
        20,
        "what was silent",
    )


def test_a_dead_exporter_is_not_told_again_by_each_site_that_is_not_probed(noise: Noise) -> None:
    noise.alertmanager.fire({"alertname": "ExporterDown", "severity": "critical"}, summary="the exporter")
    noise.mailbox.wait_for(1)
    noise.fire("ExporterStale", *FIVE)
    assert noise.settled() == ["[SITEMEDIC] the exporter"]


def test_who_wants_mail_only_when_healing_has_failed_waits_and_the_remediator_does_not(noise: Noise) -> None:
    began = time.monotonic()
    noise.fire("SiteDown", "patient")
    noise.webhooks("patient")
    noise.fire("SiteNeedsHuman", "patient", server="web-1", incident="1")
    noise.mailbox.wait_for(1)
    noise.mailbox.wait_for(2, HEALING + 20)
    assert noise.subjects == ["[NEEDS YOU] patient: SiteNeedsHuman", "[DOWN] patient: SiteDown"]
    assert time.monotonic() - began > HEALING


def test_outages_that_nobody_was_told_of_are_one_mail_without_an_end(noise: Noise) -> None:
    for name in FIVE:
        noise.fire("SiteOutageUntold", name, severity="info", incident=name)
    noise.mailbox.wait_for(1)
    for name in FIVE:
        noise.end("SiteOutageUntold", name, severity="info", incident=name)
    noise.fire("SiteDown", "a")
    noise.end("SiteDown", "b")
    noise.mailbox.wait_for(2)
    assert [subject[:8] for subject in noise.settled()] == ["[MISSED]", "[DOWN] a"]


def watched(name: str, web: Site, **keys: Any) -> dict[str, Any]:
    return {"name": name, "url": web.url, **keys}


@pytest.mark.full
def test_a_server_that_dies_beside_a_site_with_apps_is_two_mails_from_probe_to_mailbox(
    tmp_path: Path,
) -> None:
    with site() as dead, site() as shop, site() as well:
        on_server = [watched(name, dead, recover={"server": "web-1", "container": name}) for name in FIVE]
        family = watched("shop", shop, apps=[watched("api", shop), watched("db", shop)])
        others = [watched(f"well-{number}", well, alert={"after": "1m"}) for number in range(11)]
        with alerting_chain(
            tmp_path, [*on_server, family, *others], servers={"web-1": {"docker": "local"}}
        ) as chain:
            for name in (*FIVE, "shop", "shop/api", "shop/db"):
                chain.sees(name)
            dead.delay, shop.status = 2.0, 500
            down = {*FIVE, "shop", "shop/api", "shop/db"}
            until(lambda: set(chain.posted("firing")) == down, 60, "the webhook to hear of each site")
            until(lambda: all(chain.told(name) for name in down), 60, "people to be told")
            chain.wait_for_outages(2)
            chain.evaluations(3)
            assert sorted(chain.outages) == [
                "[DOWN] server web-1: 5 sites: a, b, c and 2 more",
                "[DOWN] shop, shop/api, shop/db",
            ]
            dead.delay, shop.status = 0.0, 200
            until(lambda: set(chain.posted("resolved")) == down, 60, "the webhook's ends")
            until(lambda: all(chain.told(name)[-1] == "resolved" for name in down), 60, "their ends")
            chain.evaluations(3)
            assert {name: chain.told(name) for name in down} == dict.fromkeys(down, ("firing", "resolved"))
            assert len(chain.outages) <= 6
            until(lambda: chain.outages[-1].startswith("[RECOVERED]"), 20, "the last mail")


@pytest.mark.full
def test_all_sites_at_once_ask_whether_it_is_us_and_still_reach_the_remediator(tmp_path: Path) -> None:
    heals = {"notify": "healing_failed", "recover": {"server": "web-1", "container": "p"}}
    names = {*FIVE[:4], "patient"}
    with (
        site() as web,
        alerting_chain(
            tmp_path,
            [*(watched(name, web) for name in FIVE[:4]), watched("patient", web, **heals)],
            servers={"web-1": {"docker": "local"}},
        ) as chain,
    ):
        for name in names:
            chain.sees(name)
        web.status = 500
        until(lambda: set(chain.posted("firing")) == names, 60, "the webhooks")
        until(lambda: all(chain.told(name) for name in names), 60, "people to be told")
        chain.wait_for_outages(1)
        chain.evaluations(3)
        (subject,) = chain.outages
        assert subject.startswith("[IS IT US?]")
        assert chain.told("", "MostSitesDown") == ("firing",)
        web.status = 200
        until(lambda: all(chain.told(name)[-1] == "resolved" for name in names), 60, "their ends")
        until(lambda: chain.told("", "MostSitesDown")[-1] == "resolved", 60, "its end")
        assert {name: chain.told(name) for name in names} == dict.fromkeys(names, ("firing", "resolved"))


@pytest.mark.full
def test_an_outage_that_ends_before_healing_has_had_its_time_is_no_mail_from_probe_to_mailbox(
    tmp_path: Path,
) -> None:
    with site() as web, site() as well:
        alerting = {
            "scrape_interval": "1s",
            "critical": {"group_wait": "1s", "group_interval": "2s"},
            "shared_wait": "2s",
            "healing_time": "12s",
        }
        heals = {"notify": "healing_failed", "recover": {"server": "web-1", "container": "p"}}
        with alerting_chain(
            tmp_path,
            [watched("patient", web, **heals), watched("well", well, alert={"after": "1m"})],
            alerting=alerting,
            servers={"web-1": {"docker": "local"}},
        ) as chain:
            chain.sees("patient")
            web.status = 500
            until(lambda: chain.posted("firing"), 60, "the webhook")
            web.status = 200
            until(lambda: chain.posted("resolved"), 60, "the webhook's end")
            # Alertmanager keeps an empty group for up to 30 s, and a group that was once told waits no more.
            chain.evaluations(12 + 30 + 3)
            assert chain.outages == []
            began = time.monotonic()
            web.status = 500
            until(lambda: len(chain.posted("firing")) > 1, 60, "the second outage")
            assert chain.wait_for_outages(1, 60) == ["[DOWN] patient: answered 500"]
            assert time.monotonic() - began > 3 + 12  # `after`, and what healing may take


@pytest.mark.full
def test_a_slow_site_that_goes_down_is_told_to_be_slow_once(tmp_path: Path) -> None:
    with site() as web, site() as well:
        web.delay = 0.25
        with alerting_chain(
            tmp_path,
            [watched("www", web, expect={"within": "100ms"}), watched("well", well, alert={"after": "1m"})],
        ) as chain:
            until(lambda: chain.told("www", "SiteSlow"), 60, "the mail that says slow")
            web.status = 500
            assert chain.wait_for_outages(1) == ["[DOWN] www: answered 500"]
            chain.evaluations(5)
            slow = [subject for subject in chain.subjects if subject.startswith("[SLOW]")]
            assert len(slow) == 1
            assert {alert["labels"]["alertname"] for alert in chain.webhook.alerts("firing")} == {"SiteDown"}
