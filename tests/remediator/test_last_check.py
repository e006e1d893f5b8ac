"""What people say between the decision and the act is heard: pause, maintenance, silence, a stricter mode."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.servers.server import CommandResult
from remediator import service
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.on_server import docker
from tests.remediator.doubles import API, SITES, Lab, lab, slower
from tests.waiting import until

ONE_TRY = SITES.replace("attempts: 3", "attempts: 1")
ONE_RESTART = ["restart_container www web nginx"]
RARELY = slower(silences=3.0)
"""Alertmanager's silences are read so rarely that an act must ask for them itself."""


def edited(at_work: Lab, sites: str) -> None:
    at_work.sites_file.write_text(sites)
    at_work.remediator.reload()


def window() -> str:
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=1), now + timedelta(hours=1)
    times = f"from: '{begins:%Y-%m-%d %H:%M}', until: '{ends:%Y-%m-%d %H:%M}'"
    return f"{ONE_TRY}\nmaintenance: [{{name: backup, {times}, servers: [web]}}]\n"


PAUSE = {"scope": "server:web", "by": "Ada", "reason": "new disk"}


@dataclass(frozen=True)
class Held:
    """Something that begins, its reason, what the timeline says of it, and how it ends."""

    begins: Callable[[Lab], Any]
    reason: str
    says: str
    ends: Callable[[Lab], Any]


HELD = {
    "pause": Held(
        lambda one: one.client.post("/api/v1/pause", json=PAUSE, headers=API),
        "paused",
        "server:web paused by Ada: new disk",
        lambda one: one.client.delete("/api/v1/pause", json=PAUSE, headers=API),
    ),
    "maintenance": Held(
        lambda one: edited(one, window()),
        "maintenance",
        "backup lasts until",
        lambda one: edited(one, ONE_TRY),
    ),
    "silence": Held(
        lambda one: one.alertmanager.silenced.add("www"),
        "silenced",
        "its alert is silenced in Alertmanager",
        lambda one: one.alertmanager.silenced.clear(),
    ),
    "mode": Held(
        lambda one: edited(one, ONE_TRY.replace("container: nginx}", "container: nginx, mode: observe}")),
        "observe_mode",
        "sites.yml says observe by now",
        lambda one: edited(one, ONE_TRY),
    ),
}


def before_the_act(at_work: Lab, do: Callable[[], Any]) -> None:
    """Let something happen once, between the decision and the act."""
    prepare, once = at_work.restart.prepare, [do]

    def meanwhile(target: Target, world: World) -> Marks:
        if once:
            once.pop()()
        return prepare(target, world)

    at_work.restart.prepare = meanwhile  # type: ignore[method-assign]
    at_work.exporter.failing["www"] = "status"
    at_work.post("www")


def abandoned(at_work: Lab) -> dict[str, Any]:
    """Wait for the first attempt's end, and return it."""
    until(lambda: at_work.incident("www")["attempts"], 20, "an attempt")
    until(lambda: at_work.incident("www")["attempts"][0]["finished_at"], 20, "its end")
    first: dict[str, Any] = at_work.incident("www")["attempts"][0]
    assert first["stage"] == "abandoned"
    return first


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_what_begins_between_the_decision_and_the_act_holds_it_back_and_costs_no_attempt(
    tmp_path: Path, held: Held
) -> None:
    with lab(tmp_path, ONE_TRY, timing=RARELY) as at_work:
        before_the_act(at_work, lambda: held.begins(at_work))
        assert abandoned(at_work)["reason"] == held.reason
        (told,) = [one["text"] for one in at_work.incident("www")["timeline"] if one["kind"] == "abandoned"]
        assert held.says in told
        assert told.endswith("; nothing was touched")
        assert at_work.ledger.lines() == []
        held.ends(at_work)
        assert at_work.wait("www", "recovered", 30)["outcome"] == "healed"
        assert at_work.ledger.lines() == ONE_RESTART


def test_an_alertmanager_that_goes_before_the_act_is_believed_for_as_long_as_by_the_decision(
    tmp_path: Path,
) -> None:
    with lab(tmp_path) as at_work:
        before_the_act(at_work, lambda: setattr(at_work.alertmanager, "gone", True))
        assert at_work.wait("www", "recovered", 20)["outcome"] == "healed"
        assert len(at_work.incident("www")["attempts"]) == 1


def test_silences_that_are_no_longer_known_hold_an_act_back_that_was_decided_on(tmp_path: Path) -> None:
    with lab(tmp_path, ONE_TRY, timing=slower(silences_max_age=1.0)) as at_work:

        def gone() -> None:
            at_work.alertmanager.gone = True
            until(lambda: at_work.remediator.silenced("www") is None, 20, "an answer that is too old")

        before_the_act(at_work, gone)
        assert abandoned(at_work)["reason"] == "silences_unknown"
        assert at_work.ledger.lines() == []
        at_work.alertmanager.gone = False
        at_work.wait("www", "recovered", 20)


class Line:
    """A connection to a server that writes down what it runs."""

    def __init__(self, ran: list[list[str]]) -> None:
        self._ran = ran

    def run(self, argv: list[str], timeout: float) -> CommandResult:
        self._ran.append(argv)
        return CommandResult(0, "", "")

    def close(self) -> None:
        pass

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "name", ["silence", *(pytest.param(one, marks=pytest.mark.full) for one in ("maintenance", "mode"))]
)
def test_what_begins_while_an_act_settles_lets_it_look_but_start_nothing(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    held = HELD[name]
    monkeypatch.setattr(service, "connect", lambda _server: Line(ran))

    def settle(target: Target, _marks: Marks, world: World) -> Step:
        with world.connect(target.server) as connector:
            connector.run(docker.inspect_argv(["nginx"]), 1.0)
            connector.run(docker.start_argv("nginx"), 1.0)
        return Step(Progress.DONE, "started")

    with lab(tmp_path, ONE_TRY, timing=slower(RARELY, settle_within=60.0)) as at_work:
        at_work.restart.settle = settle  # type: ignore[method-assign]
        at_work.restart.after = lambda: held.begins(at_work)
        at_work.exporter.failing["www"] = "status"
        at_work.post("www")
        until(lambda: at_work.incidents("www") and len(ran) >= 2, 20, "looks")
        assert ran == [docker.inspect_argv(["nginx"])] * len(ran)
        (attempt,) = at_work.incident("www")["attempts"]
        assert held.says in attempt["detail"]
        held.ends(at_work)
        assert at_work.wait("www", "recovered", 30)["outcome"] == "healed"
        assert ran.count(docker.start_argv("nginx")) == 1
