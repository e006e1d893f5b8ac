"""A `docker` on each of the lab's servers: what it does goes into the ledger, on order it fails or lies."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stack.campaign.ledger import Kind
from stack.campaign.world import Container, Server, World

ACTS = ("restart", "start")
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What a command leaves; `drop`: the connection breaks before the answer is sent; `half`: within it."""

    status: int
    stdout: str = ""
    stderr: str = ""
    drop: bool = False
    half: bool = False
    hang: bool = False


def run(world: World, server: Server, line: str) -> Answer:
    """Run one command line as the server's shell would."""
    argv = shlex.split(line)
    fault = _fault(world, server, argv)
    world.ledger.add(Kind.COMMAND, server.name, line=line, fault=fault)
    if argv[:2] == ["docker", "ps"]:
        return Answer(0, "".join(f"{_id(one)}\n" for one in server.containers.values()))
    if len(argv) < 3 or argv[0] != "docker":
        return Answer(127, stderr=f"{argv[0] if argv else ''}: command not found\n")
    container = server.containers.get(argv[-1])
    if container is None:
        return Answer(1, stderr=f"Error: No such container: {argv[-1]}\n")
    if argv[1] == "inspect":
        return Answer(
            0, json.dumps([_inspected(world, container)]), half=fault == "half", hang=fault == "hang"
        )
    if argv[1] == "logs":
        return Answer(0, "2026-01-01T00:00:00.000000000Z it was all well until now\n")
    if argv[1] in ACTS:
        return _act(world, server, container, argv[1], fault)
    return Answer(1, stderr=f"docker: '{argv[1]}' is not a docker command.\n")


def _act(world: World, server: Server, container: Container, verb: str, fault: str | None) -> Answer:
    if fault == "fails":
        return Answer(1, stderr="Error response from daemon: driver failed programming connectivity\n")
    if fault == "no_daemon":
        return Answer(1, stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock\n")
    if fault in ("lies", "drop_before", "hang_before"):
        return Answer(0, f"{container.name}\n", drop=fault == "drop_before", hang=fault == "hang_before")
    if verb == "start" and container.running:
        return Answer(0, f"{container.name}\n")
    world.restart(server, container, from_stopped=verb == "start")
    return Answer(0, f"{container.name}\n", drop=fault == "drop", hang=fault == "hang_after")


def _fault(world: World, server: Server, argv: Sequence[str]) -> str | None:
    """Use up the server's next fault where it is one of this command's."""
    verb = argv[1] if len(argv) > 1 else ""
    acts = {"fails", "no_daemon", "lies", "drop_before", "drop", "hang_before", "hang_after"}
    wanted = acts if verb in ACTS else {"half", "hang"} if verb == "inspect" else set()
    with world.lock:
        for fault in server.faults:
            if fault in wanted:
                server.faults.remove(fault)
                return fault
    return None


def _inspected(world: World, container: Container) -> dict[str, object]:
    with world.lock:
        running, starts = container.running, container.starts
    started = _BEGAN + timedelta(seconds=starts)
    state: dict[str, object] = {
        "Status": "running" if running else "exited",
        "ExitCode": 0 if running else 1,
        "OOMKilled": False,
        "Error": "",
        "StartedAt": started.strftime("%Y-%m-%dT%H:%M:%S.000000000Z"),
    }
    return {
        "Id": _id(container),
        "Name": f"/{container.name}",
        "State": state,
        "RestartCount": 0,
        "Config": {"Labels": {}},
    }


def _id(container: Container) -> str:
    return container.name.encode().hex().ljust(64, "0")[:64]
