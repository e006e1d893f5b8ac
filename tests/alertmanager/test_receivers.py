"""The rendered receivers in a real Alertmanager: what each service is sent, firing and resolved."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import yaml

from core.sites import load
from stack.home import Home
from stack.loopback import post
from stack.parts import PARTS
from stack.render import render
from stack.services import services
from stack.settings import load_settings
from stack.supervise import Supervisor
from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.chat_servers import PLANTED, Posted, Services, chat_services
from tests.ports import free_port
from tests.rendering import MAIL
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus-alertmanager")

SITES = """
alerting:
  critical: {group_wait: 100ms, group_interval: 300ms}
  warning: {group_wait: 100ms, group_interval: 300ms}
  shared_wait: 100ms
sites: [{name: www, url: 'http://127.0.0.1:1/', email: me@acme.example}]
"""
DOWN = {
    "alertname": "SiteDown",
    "site": "www",
    "part_of": "www",
    "severity": "critical",
    "outage": "site:www",
}
SLOW = {"alertname": "SiteSlow", "site": "slow", "part_of": "slow", "severity": "warning"}
SAID = {
    "summary": "www answers 500 <!channel> & *more*",
    "since": "2026-01-01 10:00:00 UTC",
    "healing": "nginx will be restarted.",
}


@dataclass
class Told:
    """What the services took while www was down and came back, and something else was slow."""

    services: Services
    alertmanager: AlertmanagerServer

    def firing(self, service: str) -> Posted:
        return self.services.of(service)[0]

    def resolved(self, service: str) -> Posted:
        return self.services.of(service, 2)[1]


def rendered(folder: Path, chats: Services, environ: dict[str, str]) -> Path:
    (folder / "sites.yml").write_text(SITES)
    settings = chats.pointed(load_settings({**MAIL, **chats.environ(), **environ}, folder / "data"))
    return render(load(folder / "sites.yml", PARTS), settings, folder / "rendered").alertmanager


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("receivers")
    with chat_services() as chats:
        config = rendered(folder, chats, {"PUBLIC_URL": "https://status.example"})
        with alertmanager_server(config, folder / "alertmanager") as alertmanager:
            alertmanager.fire({"alertname": "Watchdog", "severity": "none"})
            alertmanager.fire(DOWN, **SAID)
            for service in ("slack", "telegram", "ntfy", "webhook", "pagerduty"):
                chats.of(service)
            alertmanager.resolve(DOWN, **SAID)
            for service in ("slack", "telegram", "ntfy", "webhook", "pagerduty"):
                chats.of(service, 2)
            yield Told(chats, alertmanager)


def test_slack_is_sent_an_attachment_in_its_colour(told: Told) -> None:
    (shown,) = told.firing("slack").body["attachments"]
    assert shown["title"].startswith("[DOWN] www")
    assert shown["fallback"] == shown["title"]
    assert shown["title_link"] == "https://status.example"
    assert "nginx will be restarted." in shown["text"]
    assert shown["color"] == "danger"
    (over,) = told.resolved("slack").body["attachments"]
    assert over["title"].startswith("[RECOVERED] www")
    assert over["color"] == "good"
    assert told.firing("slack").body["username"] == "Sitemedic"


def test_telegram_is_sent_plain_text(told: Told) -> None:
    body = told.firing("telegram").body
    assert body["text"].startswith("[DOWN] www")
    assert "nginx will be restarted." in body["text"]
    assert "<!channel> & *more*" in body["text"]  # as it is: nothing of it is markup
    assert not body.get("parse_mode")
    assert told.resolved("telegram").body["text"].startswith("[RECOVERED] www")


def test_pagerduty_opens_and_closes_one_incident(told: Told) -> None:
    opened, closed = told.firing("pagerduty").body, told.resolved("pagerduty").body
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert opened["payload"]["severity"] == "critical"
    assert opened["payload"]["summary"].startswith("[DOWN] www")
    assert "nginx will be restarted." in opened["payload"]["custom_details"]["text"]
    assert opened["client_url"] == "https://status.example"


def test_a_webhook_is_sent_alertmanagers_own_json(told: Told) -> None:
    (alert,) = told.firing("webhook").body["alerts"]
    assert (alert["status"], alert["labels"], alert["annotations"]) == ("firing", DOWN, SAID)
    assert told.firing("webhook").query == {"from": [PLANTED]}
    assert told.resolved("webhook").body["status"] == "resolved"


def ntfys(folder: Path, posted: Posted) -> dict[str, str]:
    """Return title and message as ntfy makes them: its templates are Go's, as amtool's are.

    amtool takes a post's fields by their Go names only.
    """
    (folder / "none.tmpl").write_text("")
    (folder / "post.json").write_text(json.dumps({"truncatedAlerts": 0} | posted.body))
    made = {}
    for part in ("title", "message"):
        (text,) = posted.query[part]
        assert not re.search(r"\{\{-?\s*(call|template|define)", text)  # ntfy refuses these
        text = text.partition("{{if .truncatedAlerts}}")[0]
        for name in ("status", "alerts", "annotations", "labels"):
            text = re.sub(rf"\.{name}\b", f".{name.title()}", text)
        command = ["amtool", "template", "render", f"--template.glob={folder}/*.tmpl"]
        done = subprocess.run(
            [*command, f"--template.data={folder}/post.json", f"--template.text={text}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made[part] = done.stdout.replace("\\n", "\n").strip()
    return made


@pytest.mark.needs("amtool")
def test_ntfy_is_sent_templates_that_make_a_readable_message(told: Told, tmp_path: Path) -> None:
    assert told.firing("ntfy").query["template"] == ["yes"]
    assert told.firing("ntfy").query["click"] == ["https://status.example"]
    assert ntfys(tmp_path, told.firing("ntfy")) == {
        "title": SAID["summary"],
        "message": f"{SAID['summary']}, since {SAID['since']}\n{SAID['healing']}",
    }
    assert ntfys(tmp_path, told.resolved("ntfy"))["title"] == f"Over: {SAID['summary']}"


def test_the_heartbeat_is_the_alert_that_always_fires_and_nobody_else_hears_it(told: Told) -> None:
    (alert,) = told.services.of("heartbeat")[0].body["alerts"]
    assert alert["labels"]["alertname"] == "Watchdog"
    others = [posted.body for posted in told.services.taken if posted.service != "heartbeat"]
    assert "Watchdog" not in str(others)


def test_a_warning_reaches_the_chats_and_pages_nobody(told: Told) -> None:
    told.alertmanager.fire(SLOW, summary="slow is slow")
    for service in ("slack", "telegram", "ntfy", "webhook"):
        until(lambda service=service: "slow is slow" in str(told.services.of(service)), 30, f"{service} told")
    assert "slow is slow" not in str(told.services.of("pagerduty"))


def test_no_secret_stands_where_alertmanager_shows_its_configuration_but_for_the_webhooks_of_an_old_one(
    told: Told,
) -> None:
    shown = told.alertmanager.get("/api/v2/status").json()["config"]["original"]
    without_addresses = re.sub(r"^\s+(- )?url: .*$", "", shown, flags=re.MULTILINE)
    assert "slack_configs" in without_addresses
    assert PLANTED not in without_addresses


def test_the_log_of_a_stack_shows_no_secret_while_nobody_can_be_told(tmp_path: Path) -> None:
    home = Home(tmp_path, demo=False)
    environ = {**MAIL, "ALERTMANAGER_PORT": str(free_port())}
    with chat_services() as chats:  # gone by the time that something is posted
        home.sites_file.write_text(SITES)
        settings = chats.pointed(load_settings({**environ, **chats.environ()}, home.data))
        render(load(home.sites_file, PARTS), settings, home.rendered)
    (service,) = (one for one in services(home, settings, {}) if one.name == "alertmanager")
    supervisor = Supervisor([].append, Event())
    try:
        supervisor.start(service)
        post(f"{settings.alertmanager.url}/api/v2/alerts", [{"labels": DOWN, "annotations": SAID}])
        for told in ("telegram[0]", "webhook[0]", "webhook[1]", "slack[0]", "pagerduty[0]"):
            until(lambda told=told: told in service.log.read_text(), 40, f"{told} in the log")
    finally:
        supervisor.stop()
    assert PLANTED not in service.log.read_text()


def test_the_heartbeat_beats_at_each_flush_of_its_group(tmp_path: Path) -> None:
    """A repeat that is as long as the flush's interval would skip every other one."""
    with chat_services() as chats:
        (route,) = (
            route
            for route in yaml.safe_load(rendered(tmp_path, chats, {}).read_text())["route"]["routes"]
            if route["receiver"] == "heartbeat"
        )
    assert (route["group_interval"], route["repeat_interval"]) == ("1m", "30s")
