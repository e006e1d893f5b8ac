"""An act is sent soon after its row was written, or not at all.

Whoever hangs (a stopped process, a frozen machine) wakes up with an act in hand that another remediator may
have taken over meanwhile. So every command and every call that changes something is asked, right before it is
sent, whether it is still in time, and allowed where that is asked too; those that only look always are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from core.servers.server import ActionError, CommandResult, Connector, Reason, Server
from remediator.model.action import LinodeClient, World

_LOOKING_AT_DOCKER = frozenset({"inspect", "ps", "logs"})
_ASKING_FOR_A_HOOK = ["sitemedic-wrapper", "hook-ran"]
_LOOKING_AT_LINODES = frozenset({"instance", "events", "highest_event_id", "username", "reachable", "scopes"})


def in_time(world: World, since: float, seconds: float, allowed: Callable[[], None] = lambda: None) -> World:
    """Return a world in which nothing is changed once `seconds` have gone since then.

    Nor where `allowed` raises; a hook's end is asked for all the same.
    """

    def check(asking: bool = False) -> None:
        gone = world.now() - since
        if not 0 <= gone <= seconds:
            text = f"{gone:.0f} s had gone before it could be sent, so it was not: something hung"
            raise ActionError(text, reason=Reason.UNREACHABLE)
        if not asking:
            allowed()

    def connect(server: Server) -> Connector:
        return _Timed(world.connect(server), check)

    linode = cast("LinodeClient", _TimedCalls(world.linode, check)) if world.linode is not None else None
    return replace(world, connect=connect, linode=linode)


class _Timed(Connector):
    """A connection that sends what changes something in time only."""

    def __init__(self, connector: Connector, check: Callable[[bool], None]) -> None:
        self._connector = connector
        self._check = check

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        """Run one argument list as the connection does; raise ActionError where it is too late for it."""
        if not (argv[0] == "docker" and argv[1] in _LOOKING_AT_DOCKER):
            self._check(list(argv[:2]) == _ASKING_FOR_A_HOOK)
        return self._connector.run(argv, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._connector.close()


class _TimedCalls:
    """The Linode API, with the calls that change something made in time only."""

    def __init__(self, linode: LinodeClient, check: Callable[[], None]) -> None:
        self._linode = linode
        self._check = check

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._linode, name)
        if name in _LOOKING_AT_LINODES:
            return call

        def checked(*arguments: Any, **named: Any) -> Any:
            self._check()
            return call(*arguments, **named)

        return checked
