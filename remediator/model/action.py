"""What every action is made of: its target, its world and its protocol.

An action runs in four calls, each of which may happen in another process than the one before: `prepare`
looks and notes marks (stored before the act), `act` has the side effect once, `happened` tells after a crash
whether it has, and `settle` is asked again until the effect is complete.

The only exception that leaves an action, a connector or the Linode client is `ActionError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from core.servers.server import Connector, Reason, Server

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Marks: TypeAlias = dict[str, JSON]
"""What `prepare` and `act` noted: stored with the attempt, compared by `happened` and `settle`."""


@dataclass(frozen=True)
class Target:
    """What an action is done to: one container of a server, by name or by compose (project, service).

    `hook` is what the step `run_hook` runs on the server. `instance` is where the site is probed, in the
    exporter's words: looked at, never acted on. Both are filled in by who runs an attempt.
    """

    site: str
    server: Server
    container: str | None = None
    compose: tuple[str, str] | None = None
    stop_timeout: float = 10.0
    hook: str | None = None
    instance: str = ""

    @property
    def label(self) -> str:
        """Name the container for people: "nginx" or "shop/web"."""
        if self.compose is not None:
            return "/".join(self.compose)
        return self.container or "(no container)"


@dataclass(frozen=True)
class LinodeEvent:
    """One event of a Linode: ids only grow; `created` is UTC as the API writes it, in whole seconds."""

    id: int
    action: str
    status: str
    username: str | None
    created: str
    message: str = ""

    @property
    def over(self) -> bool:
        """Tell whether the event has come to its end, good or bad."""
        return self.status in {"finished", "failed", "notification"}


@dataclass(frozen=True)
class LinodeInstance:
    """What is needed of a Linode: its status and its addresses."""

    id: int
    label: str
    status: str
    addresses: tuple[str, ...] = ()


class LinodeClient(Protocol):
    """The few calls of the Linode API that are used; every one raises ActionError only."""

    def instance(self, linode_id: int) -> LinodeInstance:
        """Return the Linode as it is now."""

    def events(self, linode_id: int, above: int = 0, limit: int = 100) -> tuple[LinodeEvent, ...]:
        """Return the Linode's events with an id above the mark, newest first."""

    def highest_event_id(self, linode_id: int) -> int:
        """Return the id of the Linode's newest event, 0 where it has none."""

    def reboot(self, linode_id: int) -> None:
        """Ask for a reboot, once; ActionError(unknown) when it cannot be told whether it was accepted."""

    def boot(self, linode_id: int) -> None:
        """Ask for a boot, once; ActionError(unknown) when it cannot be told whether it was accepted."""

    def username(self) -> str | None:
        """Return the name of the token's user, None where the token may not ask."""

    def scopes(self) -> frozenset[str] | None:
        """Return what the API last said that the token may do, None where it has not said."""

    def reachable(self) -> bool:
        """Tell whether the API answers at all: the cheap question "is it us?"."""


@dataclass(frozen=True)
class World:
    """What an action may touch: servers, Linodes, and the clock (`now`: unix seconds)."""

    connect: Callable[[Server], Connector]
    linode: LinodeClient | None
    now: Callable[[], float]


class Progress(Enum):
    """How far an act has settled."""

    DONE = "done"
    WAIT = "wait"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One answer of `settle`: ask again after `retry_after` seconds while it says WAIT."""

    progress: Progress
    detail: str
    retry_after: float = 0.0
    reason: Reason | None = None


class Action(Protocol):
    """One kind of act; it has no state of its own."""

    @property
    def name(self) -> str:
        """Return the word that configuration, metrics and documents use."""

    def prepare(self, target: Target, world: World) -> Marks:
        """Look, refuse what is not allowed, and note what `happened` will compare with."""

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        """Tell whether the act has happened since the marks; None when that cannot be told now."""

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        """Do it once; return the marks to store from now on."""

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        """Look how far it has come; may raise ActionError, which the caller treats by its `permanent`."""
