"""Who is told what of containers: amtool asks the rendered routes."""

from pathlib import Path
from typing import Any

import pytest

from tests.rendering import Output, rendered_from
from tests.routing import matches, taken
from tests.stack.test_render_routes import COMPANY, receivers

pytestmark = pytest.mark.needs("amtool")

OF_A_SITE = {"server": "web-1", "name": "nginx", "site": "www", "part_of": "www", "severity": "critical"}
ALONE = {"server": "web-1", "name": "worker", "severity": "warning"}
OTHERS = [f"Container{what}" for what in ("Unhealthy", "Restarting", "OOMKilled", "HighCPU", "HighMemory")]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return rendered_from(tmp_path_factory.mktemp("company"), COMPANY)


def test_a_container_that_is_down_reaches_the_remediator_at_once_and_its_sites_people_late(
    company: Output,
) -> None:
    labels = {"alertname": "ContainerDown", "outage": "site:www", **OF_A_SITE}
    assert receivers(company, **labels) == ["remediator", "web@acme.example"]
    webhook, mail = taken(company, labels)
    assert (webhook["group_wait"], webhook["group_by"]) == ("0s", ["alertname", "site"])
    assert (mail["group_wait"], mail["group_interval"]) == ("1m30s", "1m")
    assert mail["group_by"] == ["alertname", "server", "outage"]


def test_one_that_no_site_lives_in_reaches_the_default_people_and_not_the_remediator(company: Output) -> None:
    assert receivers(company, alertname="ContainerDown", **ALONE) == ["ops@acme.example"]
    assert receivers(company, alertname="DockerUnreachable", server="web-1") == ["ops@acme.example"]


@pytest.mark.parametrize("alertname", OTHERS)
def test_what_else_is_wrong_with_one_reaches_its_sites_people_or_the_default_ones(
    company: Output, alertname: str
) -> None:
    of_a_site = {**OF_A_SITE, "severity": "warning"}
    assert receivers(company, alertname=alertname, **of_a_site) == ["web@acme.example"]
    assert receivers(company, alertname=alertname, **ALONE) == ["ops@acme.example"]


def test_who_waits_for_healing_waits_as_long_for_a_container(tmp_path: Path) -> None:
    recover = "recover: {server: here, container: nginx}"
    sites = f"""
servers: {{here: {{docker: local}}}}
alerting: {{healing_time: 10m}}
sites:
  - {{name: a, url: "http://x/", email: a@x.example, notify: healing_failed, {recover}}}
  - {{name: b, url: "http://x/", email: b@x.example, {recover}}}
"""
    output = rendered_from(tmp_path, sites)
    waits = {
        site: taken(output, {"alertname": "ContainerDown", "site": site, "part_of": site})[-1]["group_wait"]
        for site in ("a", "b")
    }
    assert waits == {"a": "10m", "b": "1m30s"}


def test_how_long_its_mail_waits_can_be_set(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, f"alerting: {{container_wait: 6m}}\n{COMPANY}")
    assert taken(output, {"alertname": "ContainerDown", **ALONE})[-1]["group_wait"] == "6m"


def silenced_by(output: Output, source: dict[str, str], target: dict[str, str]) -> bool:
    """Tell whether one alert keeps another silent, by the rendered rules."""

    def holds(rule: dict[str, Any]) -> bool:
        same = all(source.get(label, "") == target.get(label, "") for label in rule.get("equal", ()))
        of_source = all(matches(matcher, source) for matcher in rule["source_matchers"])
        return same and of_source and all(matches(matcher, target) for matcher in rule["target_matchers"])

    return any(map(holds, output.alertmanager["inhibit_rules"]))


@pytest.mark.parametrize(
    ("source", "target", "silent"),
    [
        ({"alertname": "SiteDown", "site": "www"}, {"alertname": "ContainerDown", **OF_A_SITE}, True),
        ({"alertname": "SiteDown", "site": "www"}, {"alertname": "ContainerUnhealthy", **OF_A_SITE}, True),
        ({"alertname": "SiteDown", "site": "b"}, {"alertname": "ContainerUnhealthy", **OF_A_SITE}, False),
        ({"alertname": "SiteDown", "site": "www"}, {"alertname": "ContainerHighCPU", **OF_A_SITE}, False),
        ({"alertname": "SiteDown", "site": "www"}, {"alertname": "ContainerRestarting", **OF_A_SITE}, False),
        ({"alertname": "SiteDown", "site": "www"}, {"alertname": "ContainerOOMKilled", **OF_A_SITE}, False),
        ({"alertname": "ContainerDown", **ALONE}, {"alertname": "ContainerHighMemory", **ALONE}, True),
        ({"alertname": "ContainerDown", **ALONE}, {"alertname": "ContainerHighCPU", **ALONE}, True),
        ({"alertname": "ContainerDown", **ALONE}, {"alertname": "ContainerHighCPU", **OF_A_SITE}, False),
        ({"alertname": "ContainerDown", **ALONE}, {"alertname": "ContainerOOMKilled", **ALONE}, False),
        ({"alertname": "ContainerDown", **OF_A_SITE}, {"alertname": "SiteDown", "site": "www"}, False),
        (
            {"alertname": "SiteDown", "site": "www", "server": "web-1"},
            {"alertname": "DockerUnreachable", "server": "web-1"},
            True,
        ),
        (
            {"alertname": "SiteDown", "site": "www"},
            {"alertname": "DockerUnreachable", "server": "web-1"},
            False,
        ),
    ],
)
def test_what_is_silent_while_something_else_says_it(
    company: Output, source: dict[str, str], target: dict[str, str], silent: bool
) -> None:
    assert silenced_by(company, source, target) is silent
