"""What changes something is sent in time or not at all; what only looks always is."""

from collections.abc import Sequence
from typing import Any

import pytest

from core.servers.server import ActionError, CommandResult, Server
from remediator.acting.in_time import in_time
from remediator.model.action import LinodeClient, World
from remediator.on_server import docker

WRITTEN, SECONDS = 1000.0, 10.0
CHANGES = [docker.restart_argv("nginx", 10), docker.start_argv("nginx"), ["sitemedic-hook", "reload"]]
LOOKS = [docker.inspect_argv(["nginx"]), docker.find_argv("shop", "web"), docker.logs_argv("nginx")]


class Recording:
    """A server and a Linode API that take everything."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        self.taken.append(argv)
        return CommandResult(0, "", "")

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.taken.append(name)

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def world(at: float) -> tuple[World, Recording]:
    """Return the world of an act whose row was written at WRITTEN, at another time."""
    record = Recording()
    linode: Any = record
    return in_time(World(lambda _server: record, linode, lambda: at), WRITTEN, SECONDS), record


@pytest.mark.parametrize("argv", CHANGES, ids=" ".join)
@pytest.mark.parametrize("gone", [-1.0, 10.5, 3600.0])
def test_a_command_that_changes_something_is_not_sent_too_late(argv: list[str], gone: float) -> None:
    late, record = world(WRITTEN + gone)
    with late.connect(Server("web")) as connector, pytest.raises(ActionError, match="not"):
        connector.run(argv, 5)
    assert record.taken == []


@pytest.mark.parametrize("argv", [*CHANGES, *LOOKS], ids=" ".join)
def test_in_time_everything_is_sent(argv: list[str]) -> None:
    soon, record = world(WRITTEN + 9.5)
    with soon.connect(Server("web")) as connector:
        connector.run(argv, 5)
    assert record.taken == [argv]


@pytest.mark.parametrize("argv", LOOKS, ids=" ".join)
def test_who_only_looks_is_never_too_late(argv: list[str]) -> None:
    late, record = world(WRITTEN + 3600)
    with late.connect(Server("web")) as connector:
        connector.run(argv, 5)
    assert record.taken == [argv]


def test_of_the_linode_api_only_what_changes_something_is_refused_when_it_is_late() -> None:
    late, _ = world(WRITTEN + 3600)
    assert late.linode is not None
    refused = set()
    for name in (one for one in vars(LinodeClient) if not one.startswith("_")):
        try:
            getattr(late.linode, name)(1)
        except ActionError:
            refused.add(name)
    assert refused == {"reboot", "boot"}
