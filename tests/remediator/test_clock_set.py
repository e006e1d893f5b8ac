"""The machine's clock is set three hours ahead or back while something waits: nothing is early or twice."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.clock import SteadyClock, off
from remediator.guards import GUARDS
from remediator.guards.verdict import Allow, WaitUntil
from remediator.model.action import Progress
from remediator.model.action import Step as Settled
from remediator.model.facts import Step
from remediator.model.findings import read
from remediator.model.seen import Look
from tests.remediator.deciding import FACTS, NOW
from tests.remediator.doubles import API, SITES, lab
from tests.waiting import until

HOURS = 3 * 3600.0
JUMPS = pytest.mark.parametrize("jump", [HOURS, pytest.param(-HOURS, marks=pytest.mark.full)])
RESTART = "restart_container www web nginx"


class Clock:
    """A remediator's own clock, on a machine whose clock can be set."""

    def __init__(self) -> None:
        self.set_by = 0.0
        self.own = SteadyClock(wall=lambda: time.time() + self.set_by)


@JUMPS
def test_a_question_waits_for_its_answer_and_the_answer_holds(tmp_path: Path, jump: float) -> None:
    clock, asking = Clock(), SITES.replace("container: nginx", "container: nginx, mode: approve")
    with lab(tmp_path, asking, now=clock.own) as at_work:
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.wait("www", "awaiting_approval", 30)
        clock.set_by = jump
        probed = len(at_work.exporter.probes)
        until(lambda: len(at_work.exporter.probes) > probed + 3, 30, "it looked at again")
        assert at_work.incident("www")["state"] == "awaiting_approval"
        assert at_work.ledger.lines() == []
        (question,) = at_work.client.get("/api/v1/approvals", headers=API).json["approvals"]
        said = {"verdict": "approved", "by": "Ada"}
        answer = at_work.client.post(f"/api/v1/approvals/{question['id']}", json=said, headers=API)
        assert answer.status_code == 200
        assert at_work.wait("www", "recovered", 30)["outcome"] == "healed"
        assert at_work.ledger.lines() == [RESTART]


@pytest.mark.full
@JUMPS
def test_the_next_attempt_comes_after_the_cooldown_and_soon_after_it(tmp_path: Path, jump: float) -> None:
    clock, sites = Clock(), SITES.replace("{cooldown: 0,", "{cooldown: 2s,")
    with lab(tmp_path, sites, now=clock.own) as at_work:
        at_work.exporter.failing["www"] = "status"
        at_work.exporter.healed = lambda _site: len(at_work.ledger.lines()) > 1
        at_work.restart.settling = lambda: _settled(at_work.ledger.lines())
        at_work.restart.after = lambda: setattr(clock, "set_by", jump)
        at_work.post("www")
        first = until(
            lambda: at_work.incident("www")["attempts"][0]["finished_at"], 30, "the first one's end"
        )
        assert at_work.wait("www", "recovered", 60)["outcome"] == "healed"
        second = at_work.incident("www")["attempts"][1]["created_at"]
        assert 2.0 <= second - first < 60.0
        assert len(at_work.ledger.lines()) == 2


def _settled(done: list[str]) -> Settled:
    return Settled(Progress.FAILED, "it died") if len(done) < 2 else Settled(Progress.DONE, "")


@pytest.mark.full
@JUMPS
def test_the_cooldown_after_a_storm_lasts_as_long_as_ever(tmp_path: Path, jump: float) -> None:
    clock, sites = Clock(), SITES.replace("storm_cooldown: 0", "storm_cooldown: 2s")
    with lab(tmp_path, sites, now=clock.own) as at_work:
        at_work.exporter.canaries = [False]
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "canaries_fail", 30)
        clock.set_by = jump
        began = time.monotonic()
        at_work.exporter.canaries = [True]
        assert at_work.wait("www", "recovered", 60)["outcome"] == "healed"
        assert time.monotonic() - began >= 1.8  # at 5 % more than time's pace
        assert len(at_work.ledger.lines()) == 1


@JUMPS
def test_a_maintenance_window_is_open_by_the_clock_on_the_wall_and_by_ours(
    tmp_path: Path, jump: float
) -> None:
    """A machine that starts with a wrong clock is put right soon after: ours takes days to agree."""
    clock = Clock()
    begin = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + jump - 600))
    end = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + jump + 600))
    window = f'\nmaintenance: [{{name: work, from: "{begin}", until: "{end}", timezone: UTC}}]\n'
    with lab(tmp_path, SITES + window, now=clock.own) as at_work:
        clock.set_by = jump
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        at_work.decided("www", "maintenance", 30)
        assert at_work.ledger.lines() == []
        clock.set_by = 0.0
        at_work.wait("www", "recovered", 60)


def test_how_far_the_machines_clock_is_off_is_told_where_it_was_set_only() -> None:
    clock = Clock()
    assert off(clock.own) == off(clock.own.now) == 0.0
    clock.set_by = HOURS
    assert off(clock.own) == pytest.approx(HOURS, abs=60)
    assert off(time.time) == 0.0


def looked(evidence: dict[str, Any], ahead: float) -> Look:
    return Look(NOW, "ok", {**evidence, "clock_off": ahead})


@JUMPS
def test_a_container_that_docker_restarts_again_and_again_is_known_by_either_clock(jump: float) -> None:
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + jump - 5))
    container = {"name": "nginx", "status": "running", "restart_count": 9, "started_at": began}
    assert read(looked({"container": container}, jump)).loops
    assert not read(looked({"container": container}, 0.0)).loops


@JUMPS
@pytest.mark.parametrize(("ago", "held"), [(60.0, True), (1200.0, False)])
def test_what_somebody_else_did_to_a_linode_is_as_old_as_either_clock_says(
    jump: float, ago: float, held: bool
) -> None:
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW + jump - ago))
    event = {"action": "linode_reboot", "created": created, "status": "finished", "foreign": True}
    look = looked({"linode": {"status": "running", "recent_events": [event]}}, jump)
    facts = replace(FACTS, incident=replace(FACTS.incident, look=look))
    verdict = GUARDS["linode_status"](facts, Step("reboot_linode", "reboot_linode"), NOW)
    assert isinstance(verdict, WaitUntil if held else Allow)
    if isinstance(verdict, WaitUntil):
        assert verdict.until == pytest.approx(NOW + 540.0)
