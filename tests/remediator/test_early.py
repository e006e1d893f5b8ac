"""A container's alert comes before its site's: what is done about it, with a remediator at work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remediator.model.action import Target, World
from remediator.model.seen import Look
from remediator.store import console as store_console
from tests.remediator.doubles import Lab, lab
from tests.waiting import until


@contextmanager
def at_work(folder: Path, status: Callable[[], str]) -> Iterator[Lab]:
    """Run a lab in which a look finds the container as it is then."""

    def look(_target: Target, world: World) -> Look:
        container = {"name": "nginx", "status": status(), "exit_code": 137}
        return Look(world.now(), "ok", {"container": container})

    with lab(folder, look=look) as found:
        yield found


def told(lab: Lab, site: str = "www", **labels: str) -> Any:
    return lab.post(site, alertname="ContainerDown", **labels)


def outages(lab: Lab, site: str = "www") -> int:
    with lab.remediator.store.read() as connection:
        return len(store_console.outages(connection, [site], 0.0).get(site, []))


def test_an_ended_container_is_restarted_before_its_site_is_told_to_be_down(tmp_path: Path) -> None:
    with at_work(tmp_path, lambda: "exited") as found:
        found.exporter.failing["www"] = "refused"
        told(found)
        ended = found.wait("www", "recovered", 20)
        assert (ended["outcome"], ended["alert"]) == ("healed", "ContainerDown")
        assert ended["mailed"] == "", "nobody was to be mailed, so nobody has missed it"
        assert found.ledger.lines() == ["restart_container www web nginx"]
        assert outages(found) == 1


def test_a_container_that_runs_again_is_left_alone_until_its_site_is_told_to_be_down(tmp_path: Path) -> None:
    with at_work(tmp_path, lambda: "running") as found:
        found.exporter.failing["www"] = "refused"
        told(found)
        found.decided("www", "site_not_down_yet", 20)
        assert found.ledger.lines() == []
        found.post("www")
        found.wait("www", "recovered", 20)
        assert found.ledger.lines() == ["restart_container www web nginx"]


def test_where_the_site_passes_nothing_is_touched_and_no_outage_is_counted(tmp_path: Path) -> None:
    with at_work(tmp_path, lambda: "exited") as found:
        told(found)
        ended = found.wait("www", "recovered", 20)
        assert ended["outcome"] == "not_down"
        assert found.ledger.lines() == []
        assert outages(found) == 0
        assert found.metric("sitemedic_incidents_total", outcome="not_down") == 1


def test_of_a_site_that_is_not_ours_nothing_is_opened(tmp_path: Path) -> None:
    with at_work(tmp_path, lambda: "exited") as found:
        told(found, "elsewhere", server="web", name="nginx")
        until(
            lambda: found.metric("sitemedic_remediator_problems_total", problem="unknown_site") == 1, 5, "it"
        )
        assert found.incidents("elsewhere") == []
