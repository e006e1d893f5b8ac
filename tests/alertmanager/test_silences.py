"""Whom a silence keeps from being healed, as a real Alertmanager tells it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.clients.alertmanager import AlertmanagerClient
from tests.alertmanager_server import AlertmanagerServer, alertmanager_server
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus-alertmanager")

CONFIG = """
route: {receiver: nobody}
receivers: [{name: nobody}]
inhibit_rules:
  - {source_matchers: [alertname="SiteDown"], target_matchers: [alertname="ContainerDown"], equal: [site]}
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[AlertmanagerServer]:
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    with alertmanager_server(config, tmp_path / "data") as found:
        yield found


def silence(running: AlertmanagerServer, **labels: str) -> None:
    now = datetime.now(UTC)
    matchers = [
        {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()
    ]
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
    running.post("/api/v2/silences", {"matchers": matchers, **times, "createdBy": "Ada", "comment": "-"})


def silenced(client: AlertmanagerClient) -> set[str]:
    found = client.silenced()
    return {site for site in ("www", "shop", "blog") if found.covers(site)}


def test_a_silence_is_told_by_the_very_next_question(running: AlertmanagerServer) -> None:
    client = AlertmanagerClient(running.url)
    for site in ("www", "shop"):
        running.fire({"alertname": "SiteDown", "site": site})
    running.fire({"alertname": "SiteSlow", "site": "blog"})
    until(lambda: len(running.alerts()) == 3, 20, "the alerts")
    assert silenced(client) == set()
    silence(running, site="www")
    assert silenced(client) == {"www"}
    silence(running, alertname="SiteSlow")
    assert silenced(client) == {"www"}


def test_a_silence_of_a_containers_alert_counts_until_its_site_is_down(running: AlertmanagerServer) -> None:
    client = AlertmanagerClient(running.url)
    running.fire({"alertname": "ContainerDown", "site": "www"})
    running.fire({"alertname": "ContainerDown", "server": "web"})
    until(lambda: len(running.alerts()) == 2, 20, "the alerts")
    silence(running, alertname="ContainerDown")
    assert silenced(client) == {"www"}
    running.fire({"alertname": "SiteDown", "site": "www"})
    until(lambda: silenced(client) == set(), 20, "the container's alert to be inhibited")


def test_after_a_restart_a_silence_covers_an_alert_that_is_not_there_again_yet(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    with alertmanager_server(config, tmp_path / "data") as running:
        for site in ("www", "shop"):
            running.fire({"alertname": "SiteDown", "site": site})
        until(lambda: len(running.alerts()) == 2, 20, "the alerts")
        silence(running, alertname="SiteDown", site="www")
        assert silenced(AlertmanagerClient(running.url)) == {"www"}
    with alertmanager_server(config, tmp_path / "data") as running:
        assert running.alerts() == []
        assert silenced(AlertmanagerClient(running.url)) == {"www"}


def test_one_sites_silences_are_told_by_what_is_asked_of_it_alone(running: AlertmanagerServer) -> None:
    client = AlertmanagerClient(running.url)
    for site in ("shop", "shop/api"):
        running.fire({"alertname": "SiteDown", "site": site})
    running.fire({"alertname": "ContainerDown", "site": "www", "server": "web"})
    until(lambda: len(running.alerts()) == 3, 20, "the alerts")
    silence(running, alertname="SiteDown", site="shop/api")
    assert client.silenced_at("shop/api").covers("shop/api") is True
    assert client.silenced_at("shop").covers("shop") is False
    assert client.silenced_at("www").covers("www") is False
    assert client.silenced_at("shop").present == {"shop"}
    silence(running, alertname="SiteDown", server="web")
    assert client.silenced_at("www").covers("www") is True
