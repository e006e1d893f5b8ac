"""A container breaks in every way, and everything from the engine to the mail is real.

The server's sshd lets in to sitemedic-wrapper only; exporter, Prometheus, Alertmanager and remediator run as
`up` starts them, as patient with the site as usual.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker_engine import DockerEngine, needs_docker
from tests.end_to_end.container_site import NAME, ContainerSite, container_site
from tests.end_to_end.stack import Up, up
from tests.smtp_server import Mailbox, smtp_server
from tests.waiting import until

pytestmark = [
    *needs_docker,
    pytest.mark.needs("prometheus", "prometheus-alertmanager"),
    pytest.mark.timeout(300),
    pytest.mark.full,
]


class Watched:
    """A site in a container, all of Sitemedic, and the people's mailbox."""

    def __init__(self, site: ContainerSite, running: Up, mailbox: Mailbox) -> None:
        self.site = site
        self.running = running
        self.mailbox = mailbox

    def query(self, expression: str) -> list[dict[str, Any]]:
        found = self.running.get("prometheus", "/api/v1/query", query=expression)["data"]["result"]
        assert isinstance(found, list)
        return found

    def fired(self, alert: str) -> bool:
        """Tell whether an alert fired at any time since the start."""
        return bool(self.query(f'max_over_time(ALERTS{{alertname="{alert}", alertstate="firing"}}[30m])'))

    def until_firing(self, alert: str, seconds: float = 60) -> None:
        until(lambda: alert in self.running.alerts(), seconds, f"{alert} to fire")

    def until_over(self, alert: str, seconds: float = 90) -> None:
        until(lambda: alert not in self.running.alerts(), seconds, f"{alert} to end")

    def until_incident(self, *states: str, seconds: float = 90) -> dict[str, Any]:
        """Return the newest incident once it is in one of these states."""

        def found() -> dict[str, Any] | None:
            incidents = self.running.incidents()
            return incidents[0] if incidents and incidents[0]["state"] in states else None

        number = until(found, seconds, f"an incident that is {' or '.join(states)}")["id"]
        return self.running.incident(number)

    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.mailbox.mails]


@contextmanager
def watching(engine: DockerEngine, folder: Path, **remediation: object) -> Iterator[Watched]:
    home = folder / "home"
    home.mkdir()
    with container_site(engine, folder) as site, smtp_server() as mailbox:
        (home / "sites.yml").write_text(yaml.safe_dump(site.configuration(**remediation)))
        smtp = {"SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port), "SMTP_TLS": "none"}
        with up(home, **smtp, SMTP_FROM="sitemedic@acme.example") as running:
            watched = Watched(site, running, mailbox)
            until(lambda: watched.query("sitemedic_container_up == 1"), 60, "the container to be seen")
            until(lambda: watched.query("probe_success == 1"), 60, "the site to be probed")
            until(
                lambda: watched.query("time() - process_start_time_seconds{job='sitemedic-remediator'} > 16"),
                60,
                "the remediator's first seconds to be over",
            )
            yield watched


@pytest.fixture
def watched(engine: DockerEngine, tmp_path: Path) -> Iterator[Watched]:
    with watching(engine, tmp_path) as watched:
        yield watched


def test_a_killed_container_is_healed_before_its_site_is_down_and_nobody_is_mailed(
    watched: Watched, record_property: Callable[[str, object], None]
) -> None:
    killed = time.time()
    watched.site.engine.docker("kill", NAME)
    incident = watched.until_incident("recovered")
    opened, closed = incident["opened_at"] - killed, incident["closed_at"] - killed
    told = f"docker kill: under healing after {opened:.1f} s, proved after {closed:.1f} s"
    record_property("measured", told)
    assert (incident["alert"], incident["outcome"]) == ("ContainerDown", "healed")
    assert [attempt["action"] for attempt in incident["attempts"]] == ["restart_container"]
    assert incident["attempts"][0]["evidence"]["container"]["exit_code"] == 137
    assert watched.site.restarts() == 1
    assert watched.site.answers()
    watched.until_over("ContainerDown")
    assert watched.fired("ContainerDown")
    assert not watched.fired("SiteDown")
    assert watched.subjects() == []


def test_a_container_that_docker_restarts_again_and_again_is_handed_to_a_human_and_left_alone(
    watched: Watched,
) -> None:
    watched.site.remove()
    watched.site.start("--restart", "always", script="echo broken; sleep 0.2; exit 3")
    incident = watched.until_incident("needs_human", seconds=120)
    assert incident["reason"] == "crash_loop"
    assert "restarted by Docker again and again" in incident["detail"]
    assert "last exit code 0" not in incident["detail"]
    container = incident["look"]["evidence"]["container"]
    assert container["exit_code"] == (0 if container["status"] == "running" else 3)  # as Docker tells it
    assert incident["attempts"] == []
    watched.until_firing("ContainerRestarting", 90)
    assert watched.site.restarts() == 0
    until(lambda: any("NEEDS YOU" in subject for subject in watched.subjects()), 60, "a mail for a human")


def test_a_paused_container_is_a_humans_and_the_incident_ends_with_its_unpause(watched: Watched) -> None:
    watched.site.engine.docker("pause", NAME)
    watched.until_firing("ContainerDown")
    incident = watched.until_incident("needs_human", seconds=120)
    assert incident["reason"] == "action_impossible"
    assert "paused" in incident["detail"]
    assert incident["attempts"] == []
    assert incident["alert"] == "SiteDown"
    watched.site.engine.docker("unpause", NAME)
    assert watched.until_incident("recovered")["outcome"] == "by_a_human"
    watched.until_over("ContainerDown")
    assert watched.site.restarts() == 0


def test_one_that_is_removed_and_made_anew_under_its_name_is_the_same_and_nothing_is_done(
    watched: Watched,
) -> None:
    watched.site.remove()
    watched.until_firing("ContainerDown")
    watched.until_incident("open", "observing")
    watched.site.start()
    incident = watched.until_incident("recovered")
    assert (incident["outcome"], incident["attempts"]) == ("by_itself", [])
    watched.until_over("ContainerDown")
    assert not watched.fired("SiteDown")
    assert watched.subjects() == []


def test_one_that_is_killed_for_its_memory_is_told_and_healed(watched: Watched) -> None:
    watched.site.remove()
    watched.site.start("--memory", "24m", "--memory-swap", "24m")
    until(watched.site.answers, 20, "the site in its container")
    watched.until_over("ContainerDown")
    watched.site.engine.docker("exec", NAME, "touch", "/tmp/eat")
    watched.until_firing("ContainerOOMKilled", 90)
    incident = watched.until_incident("recovered")
    assert incident["outcome"] == "healed"
    assert watched.site.restarts() == 1
    assert not watched.fired("SiteDown")
