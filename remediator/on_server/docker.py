"""Docker's command on a server, as data: the argument lists that we run, and what their answers mean.

A container is addressed by its name or by its compose labels, never by an id or a piece of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.servers.options import CONTAINER_NAME
from core.servers.output import printable
from core.servers.server import ActionError, CommandResult, Connector, Reason
from remediator.model.action import Target
from remediator.model.findings import NOT_RUNNING
from remediator.on_server import wrapper

LOOK_SECONDS = 15.0

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"
_MOST_LINE = 500


@dataclass(frozen=True)
class ContainerState:
    """What `docker inspect` says of one container; `health` is None where it has no health check."""

    id: str
    name: str
    status: str
    exit_code: int
    oom_killed: bool
    error: str
    health: str | None
    started_at: str
    restart_count: int

    @property
    def running(self) -> bool:
        """Tell whether its process runs."""
        return self.status == "running"


def inspect_argv(names: Sequence[str]) -> list[str]:
    """Ask for everything about these containers."""
    return ["docker", "inspect", "--type", "container", *(_safe(name) for name in names)]


def find_argv(project: str, service: str) -> list[str]:
    """Ask for the ids of a compose service's containers, running or not."""
    labels = (f"label={_PROJECT}={_safe(project)}", f"label={_SERVICE}={_safe(service)}")
    filters = [word for label in labels for word in ("--filter", label)]
    return ["docker", "ps", "--all", "--quiet", "--no-trunc", *filters]


def logs_argv(name: str, lines: int = 20) -> list[str]:
    """Ask for a container's last log lines, with the times that put its two streams in order."""
    return ["docker", "logs", "--timestamps", "--tail", str(lines), _safe(name)]


def restart_argv(name: str, stop_timeout: float) -> list[str]:
    """Stop a container within `stop_timeout` seconds (killing it then), and start it."""
    return ["docker", "restart", "-t", str(max(0, round(stop_timeout))), _safe(name)]


def start_argv(name: str) -> list[str]:
    """Start a container that does not run."""
    return ["docker", "start", _safe(name)]


def find(connector: Connector, target: Target) -> ContainerState:
    """Return the state of the one container that the target names.

    Raises ActionError: `not_found`, `ambiguous_target` (compose services with several containers), or what
    the docker command died of.
    """
    if target.compose is not None:
        return _find_service(connector, target, *target.compose)
    if target.container is None:
        problem = f"{target.site} has no container: give its recover: one in sites.yml"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)
    states = _inspect(connector, target, [target.container])
    named = [state for state in states if state.name == target.container]
    if not named:  # Docker takes a piece of an id for a name, we don't
        raise _not_found(target)
    return named[0]


def log_tail(connector: Connector, name: str, lines: int = 20) -> tuple[str, ...]:
    """Return the last log lines of both streams in order, without control characters, each cut short."""
    result = connector.run(logs_argv(name, lines), LOOK_SECONDS)
    if result.exit_status != 0:
        raise failure(result, "docker logs")
    both = [line for text in (result.stdout, result.stderr) for line in text.splitlines()]
    in_order = sorted(both, key=lambda line: line.partition(" ")[0])
    return tuple(printable(line)[:_MOST_LINE] for line in in_order[-lines:])


def failure(result: CommandResult, command: str, server: str = "") -> ActionError:
    """Say what a docker command's bad end means, and what to do about it."""
    refused = wrapper.refusal(result, server or "the server")
    if refused is not None:
        return refused
    where = f" on {server}" if server else ""
    said = printable((result.stderr or result.stdout).strip().replace("\n", " "))[:300]
    if result.exit_status == -1:
        lost = f"the connection was lost during `{command}`{where}"
        return ActionError(lost, reason=Reason.UNKNOWN)
    for pattern, mend, permanent in _KNOWN_FAILURES:
        if re.search(pattern, said, re.IGNORECASE):
            message = f"`{command}`{where} failed: {said}; {mend}"
            return ActionError(message, reason=Reason.COMMAND_FAILED, permanent=permanent)
    message = f"`{command}`{where} ended with status {result.exit_status}: {said or 'it said nothing'}"
    return ActionError(message, reason=Reason.COMMAND_FAILED, permanent=result.exit_status in (126, 127))


_KNOWN_FAILURES = (
    (r"permission denied.*(docker|socket)", "let this user use Docker: add it to the docker group", True),
    (r"cannot connect to the docker daemon|is the docker daemon running", NOT_RUNNING, False),
    (r"command not found|docker: not found", "install Docker there, or put it on the PATH of sshd", True),
)


def _find_service(connector: Connector, target: Target, project: str, service: str) -> ContainerState:
    result = connector.run(find_argv(project, service), LOOK_SECONDS)
    if result.exit_status != 0:
        raise failure(result, "docker ps", target.server.name)
    ids = result.stdout.split()
    states = _inspect(connector, target, ids) if ids else []
    if not states:
        raise _not_found(target)
    if len(states) > 1:
        names = ", ".join(sorted(state.name for state in states)[:5])
        raise ActionError(
            f"{target.label} on {target.server.name} is {len(states)} containers ({names}): "
            "name the one with container: in sites.yml",
            reason=Reason.AMBIGUOUS_TARGET,
            permanent=True,
        )
    return states[0]


def _inspect(connector: Connector, target: Target, names: Sequence[str]) -> list[ContainerState]:
    result = connector.run(inspect_argv(names), LOOK_SECONDS)
    if result.exit_status != 0:
        if re.search(r"no such (object|container)", result.stderr, re.IGNORECASE):
            raise _not_found(target)
        raise failure(result, "docker inspect", target.server.name)
    return parse_inspect(result.stdout)


def parse_inspect(text: str) -> list[ContainerState]:
    """Read the answer of `docker inspect`, without compose's one-off containers."""
    try:
        records = json.loads(text)
        one_off = [str(_labels(record).get(_ONE_OFF, "False")) == "True" for record in records]
        return [_state(record) for record, skip in zip(records, one_off, strict=True) if not skip]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActionError(
            "`docker inspect` answered something that is not Docker's: look at the forced command or wrapper",
            reason=Reason.COMMAND_FAILED,
        ) from error


def _labels(record: Mapping[str, Any]) -> Mapping[str, Any]:
    labels: Mapping[str, Any] = (record.get("Config") or {}).get("Labels") or {}
    return labels


def _state(record: Mapping[str, Any]) -> ContainerState:
    state = record["State"]
    health = (state.get("Health") or {}).get("Status")
    return ContainerState(
        id=str(record["Id"]),
        name=str(record["Name"]).removeprefix("/"),
        status=str(state["Status"]),
        exit_code=int(state.get("ExitCode", 0)),
        oom_killed=bool(state.get("OOMKilled", False)),
        error=printable(str(state.get("Error", "")))[:_MOST_LINE],
        health=None if health in (None, "", "none") else str(health),
        started_at=str(state["StartedAt"]),
        restart_count=int(record.get("RestartCount", 0)),
    )


def _safe(name: str) -> str:
    """Refuse what could be read as an option, wherever the name came from."""
    if not CONTAINER_NAME.fullmatch(name):
        problem = f"{name[:80]!r} is no container's name"
        raise ActionError(problem, reason=Reason.NOT_ALLOWED, permanent=True)
    return name


def _not_found(target: Target) -> ActionError:
    return ActionError(
        f"there is no container {target.label} on {target.server.name}: "
        "compare recover: in sites.yml with `docker ps --all` there",
        reason=Reason.NOT_FOUND,
        permanent=True,
    )
