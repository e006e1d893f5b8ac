"""Restart the container of a site: `docker restart`, proved by the engine's own record."""

from __future__ import annotations

import re
import socket

from core.servers.server import ActionError, Connector, Reason
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.on_server import docker

RESTART_MARGIN_SECONDS = 20.0
"""What `docker restart` may take beyond the stop timeout before we call it lost."""
LATEST_SECONDS = 10.0
"""A restart that is not sent within this is not sent: `happened` counts on its end being in time."""
STABLE_SECONDS = 2.0
"""How long a container must have run, without being restarted by Docker, before the restart counts."""
SETTLE_AGAIN_SECONDS = 1.0
SETTLE_SECONDS = 180.0
"""How long a health check may say `starting`."""


class RestartContainer:
    """Stops and starts one container, also one that is stopped."""

    name = "restart_container"

    def prepare(self, target: Target, world: World) -> Marks:
        """Note when the container was last started, and refuse one that must not be restarted."""
        with world.connect(target.server) as connector:
            state = docker.find(connector, target)
        _refuse(target, state)
        return {**_noted(state), "prepared_at": world.now()}

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        """Compare start times; None while a restart may still be waiting for the stop, or nobody answers."""
        try:
            with world.connect(target.server) as connector:
                state = docker.find(connector, target)
        except ActionError:
            return None
        if _started_anew(state, marks):
            return True
        begun = max(_number(marks, "prepared_at"), _number(marks, "acting_at"))
        return None if world.now() < begun + LATEST_SECONDS + limit(target) else False

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        """Restart it once; ActionError(unknown) when the end of the command was not seen."""
        begun = world.now()
        with world.connect(target.server) as connector:
            name = docker.find(connector, target).name
            if world.now() - begun > LATEST_SECONDS:
                raise _too_slow(target)
            _restart(connector, target, name)
            after = _look_again(connector, target)
        return {**marks, "acted_at": world.now(), **after}

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        """Wait until it runs anew, stays up, and is healthy where it has a health check."""
        with world.connect(target.server) as connector:
            state = docker.find(connector, target)
        since = _number(marks, "acted_at") or _number(marks, "prepared_at")
        return judge(state, marks, world.now() - since)


def limit(target: Target) -> float:
    """Return the seconds after which a restart has ended, one way or the other."""
    return target.stop_timeout + RESTART_MARGIN_SECONDS


def judge(state: docker.ContainerState, marks: Marks, elapsed: float) -> Step:
    """Say how far a restart has come, `elapsed` seconds after it."""
    problem = _broken(state, marks)
    if problem is not None:
        return Step(Progress.FAILED, problem, reason=Reason.COMMAND_FAILED)
    waiting = _unsettled(state, marks, elapsed)
    if waiting is None:
        health = f", {state.health}" if state.health else ""
        return Step(Progress.DONE, f"{state.name} runs since {state.started_at}{health}")
    if elapsed > SETTLE_SECONDS:
        return Step(Progress.FAILED, f"{waiting} after {elapsed:.0f} s", reason=Reason.TIMEOUT)
    return Step(Progress.WAIT, waiting, retry_after=max(STABLE_SECONDS - elapsed, SETTLE_AGAIN_SECONDS))


def _broken(state: docker.ContainerState, marks: Marks) -> str | None:
    if state.status in ("paused", "dead", "removing"):
        return f"{state.name} is {state.status}"
    if not _started_anew(state, marks):
        return None
    count, started = marks.get("restart_count_after"), marks.get("started_at_after")
    if isinstance(count, int) and (state.restart_count > count or state.started_at != started):
        return f"{state.name} ends by itself and is restarted by Docker again and again"
    if state.status == "exited":
        why = "killed for its memory" if state.oom_killed else state.error or "see its log"
        return f"{state.name} ended again with exit code {state.exit_code} ({why})"
    if state.health == "unhealthy":
        return f"{state.name} runs, but its health check says unhealthy"
    return None


def _unsettled(state: docker.ContainerState, marks: Marks, elapsed: float) -> str | None:
    if not _started_anew(state, marks):
        return f"{state.name} has not been started anew"
    if not state.running:
        return f"{state.name} is {state.status}"
    if state.health == "starting":
        return f"{state.name} runs, its health check is still starting"
    if elapsed < STABLE_SECONDS:
        return f"{state.name} runs, for a moment only"
    return None


def _restart(connector: Connector, target: Target, name: str) -> None:
    try:
        result = connector.run(docker.restart_argv(name, target.stop_timeout), limit(target))
    except ActionError as error:
        if error.reason is Reason.TIMEOUT:
            raise ActionError(error.message, reason=Reason.UNKNOWN) from error
        raise
    if result.exit_status != 0:
        raise docker.failure(result, "docker restart", target.server.name)


def _too_slow(target: Target) -> ActionError:
    text = f"{target.server.name} is too slow over SSH; nothing was restarted"
    return ActionError(text, reason=Reason.UNREACHABLE)


def _look_again(connector: Connector, target: Target) -> Marks:
    """Note what a stable container must keep; the act is done, so that nothing may fail here any more."""
    try:
        state = docker.find(connector, target)
    except ActionError:
        return {}
    return {"started_at_after": state.started_at, "restart_count_after": state.restart_count}


def _refuse(target: Target, state: docker.ContainerState) -> None:
    own = socket.gethostname()
    if re.fullmatch(r"[0-9a-f]{12}", own) and state.id.startswith(own):
        problem = f"{state.name} is the container that the remediator itself runs in"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)
    if state.status == "paused":
        problem = f"{state.name} on {target.server.name} is paused, which only a human does: docker unpause"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)


def _noted(state: docker.ContainerState) -> Marks:
    return {
        "id": state.id,
        "container": state.name,
        "started_at": state.started_at,
        "status": state.status,
        "restart_count": state.restart_count,
    }


def _started_anew(state: docker.ContainerState, marks: Marks) -> bool:
    return state.id != marks.get("id") or state.started_at != marks.get("started_at")


def _number(marks: Marks, key: str) -> float:
    value = marks.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
