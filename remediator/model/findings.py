"""What a look at a server found, read back from its evidence and told in a sentence. Pure.

Evidence is JSON that an older Sitemedic may have written: what is missing in it was not found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from remediator.model.action import JSON
from remediator.model.seen import Look, Probe

ENTERED = frozenset({"ok", "local"})
DEAD = frozenset({"unreachable", "timeout"})
NOT_RUNNING = "Docker does not run there"
"""Stands in the error of every command where its engine is down."""
NO_WORD = "cannot_tell"
"""SSH failed on our side, or the server answered in a way that we do not understand."""
LOOP_RESTARTS = 3
"""Docker's own restarts of a container, the last one just now, that make a loop; fewer may be bad luck."""
LOOP_SECONDS = 60.0
"""What "just now" means: Docker waits a minute at most between two restarts."""
_MOST_ERROR = 120


@dataclass(frozen=True)
class Container:
    """What a look saw of the site's container."""

    name: str
    status: str
    exit_code: int
    oom_killed: bool
    error: str
    health: str | None
    started_at: float | None
    restart_count: int


@dataclass(frozen=True)
class Findings:
    """The facts of a look that a step is chosen by; None: not found out."""

    time: float
    ssh: str
    port: int | None = None
    port_state: str = ""
    container: Container | None = None
    linode: str | None = None
    problem: str = ""
    docker_runs: bool = True
    """False where its command said that it does not."""
    clock_off: float = 0.0
    """How far the machine's own clock was ahead of ours."""

    @property
    def loops(self) -> bool:
        """Tell whether Docker restarts the container again and again."""
        one = self.container
        if one is None or one.restart_count < LOOP_RESTARTS - 1:
            return False
        if one.status == "restarting":
            return True
        ours = (self.time, self.time + self.clock_off)
        just_now = one.started_at is not None and min(abs(at - one.started_at) for at in ours) <= LOOP_SECONDS
        return one.status == "running" and one.restart_count >= LOOP_RESTARTS and just_now


def clock_off(look: Look) -> float:
    """Return how far the machine's own clock was ahead of ours at a look."""
    found = look.evidence.get("clock_off")
    return float(found) if isinstance(found, int | float) else 0.0


def read(look: Look) -> Findings:
    """Read a look's evidence."""
    port = _mapping(look.evidence.get("port"))
    linode = _mapping(look.evidence.get("linode"))
    problems = look.evidence.get("problems")
    number = port.get("port")
    return Findings(
        time=look.time,
        clock_off=clock_off(look),
        ssh=look.ssh,
        port=number if isinstance(number, int) else None,
        port_state=str(port.get("state", "")),
        container=_container(_mapping(look.evidence.get("container"))),
        linode=str(linode["status"]) if "status" in linode else None,
        problem=str(problems[0]) if isinstance(problems, list) and problems else "",
        docker_runs=not (isinstance(problems, list) and any(NOT_RUNNING in str(one) for one in problems)),
    )


def sentence(found: Findings) -> str:
    """Tell what was found: "no answer on port 443; SSH works; container nginx exited with code 1"."""
    return "; ".join(_parts(found))


def symptom(probe: Probe | None) -> str:
    """Tell what the site does."""
    if probe is None:
        return "not probed"
    return f"{probe.reason}: {probe.detail}" if probe.detail else str(probe.reason)


def _parts(found: Findings) -> Iterator[str]:
    if found.port is not None:
        words = {"open": f"port {found.port} is open", "refused": f"port {found.port} refuses connections",
                 "silent": f"no answer on port {found.port}"}  # fmt: skip
        yield words.get(found.port_state, f"port {found.port} could not be tried")
    yield _ssh(found.ssh)
    if found.container is not None:
        yield f"container {found.container.name} {_state(found.container, loops=found.loops)}"
    elif found.ssh in ENTERED and found.problem:
        yield found.problem
    if found.linode is not None and (found.linode != "running" or found.ssh not in ENTERED):
        yield "its Linode is switched off" if found.linode == "offline" else f"its Linode is {found.linode}"


def _ssh(word: str) -> str:
    if word == "ok":
        return "SSH works"
    if word == "local":
        return "Docker of this machine"
    return "no SSH" if word in DEAD else f"SSH fails ({word})"


def _state(one: Container, *, loops: bool) -> str:
    code = f"code {one.exit_code}" + (" (killed for its memory)" if one.oom_killed else "")
    error = f" ({one.error[:_MOST_ERROR]})" if one.error else ""
    if loops:
        last = f", last exit {code}" if one.status == "restarting" else ""  # while it runs, Docker says 0
        return f"is restarted by Docker again and again ({one.restart_count} times{last})"
    if one.status == "running":
        health = f", its health check says {one.health}" if one.health else ""
        return f"runs{health}"
    if one.status == "exited":
        return f"exited with {code}{error}"
    return f"is {one.status}{error}"


def _container(raw: Mapping[str, JSON]) -> Container | None:
    if not raw:
        return None
    health = raw.get("health")
    return Container(
        name=str(raw.get("name", "")),
        status=str(raw.get("status", "")),
        exit_code=_whole(raw.get("exit_code")),
        oom_killed=raw.get("oom_killed") is True,
        error=str(raw.get("error") or ""),
        health=str(health) if health else None,
        started_at=_time(raw.get("started_at")),
        restart_count=_whole(raw.get("restart_count")),
    )


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def _time(value: JSON) -> float | None:
    """Read a time as Docker writes it, with nanoseconds and a Z."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
