"""What switching a server's Linode has in common: one POST, then its event, then SSH, then the container.

An action on a Linode's power is `PowerAction` with its own words and its own rule of when it may be asked
for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.servers.server import ActionError, Reason, Server
from remediator.model.action import (
    LinodeClient,
    LinodeEvent,
    LinodeInstance,
    Marks,
    Progress,
    Step,
    Target,
    World,
)
from remediator.on_server import docker

EVENT_SECONDS = 60.0
"""What was accepted shows as an event within this; without one it was not accepted."""
SETTLE_SECONDS = 600.0
"""Booting, and the host's own checks of its disks, may take minutes."""
SETTLED = frozenset({"running", "offline"})
"""Statuses of a Linode that is not in the middle of something."""
POWER_EVENTS = frozenset({"linode_reboot", "linode_boot", "linode_shutdown", "lassie_reboot", "host_reboot"})
_START_SECONDS = 60.0


class PowerAction(ABC):
    """Uses the power of a server's Linode, once; that it is not our own server is the guard own_host's."""

    name: ClassVar[str]
    event: ClassVar[str]
    """The Linode event that an accepted act shows as."""
    noun: ClassVar[str]
    doing: ClassVar[str]
    done: ClassVar[str]

    @abstractmethod
    def forbidden(self, server: Server) -> str | None:
        """Say what sites.yml lacks for this; None where it is allowed."""

    @abstractmethod
    def unfit(self, instance: LinodeInstance) -> ActionError | None:
        """Say why a Linode of this status, `running` or `offline`, is not for this act."""

    @abstractmethod
    def ask(self, linode: LinodeClient, linode_id: int) -> None:
        """Ask for it, once; ActionError(unknown) when it cannot be told whether it was accepted."""

    def prepare(self, target: Target, world: World) -> Marks:
        """Refuse what is not allowed or not the time for it, and note the highest event id."""
        linode, linode_id = self._allowed(target.server, world)
        events = linode.events(linode_id, limit=25)
        instance = linode.instance(linode_id)
        problem = _busy(instance, events) or self.unfit(instance)
        if problem is not None:
            raise problem
        return {
            "event_above": max((event.id for event in events), default=0),
            "linode": linode_id,
            "status": instance.status,
            "prepared_at": world.now(),
        }

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        """Look for a newer event of it; None while one may still appear, or the API cannot be asked."""
        try:
            linode, linode_id = self._allowed(target.server, world)
            if self._own_event(linode, linode_id, marks) is not None:
                return True
            if linode.instance(linode_id).status not in SETTLED:
                return None
        except ActionError:
            return None
        begun = max(_number(marks, "prepared_at"), _number(marks, "acting_at"))
        return None if world.now() < begun + EVENT_SECONDS else False

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        """Ask for it, once; ActionError(unknown) when it cannot be told whether it was accepted."""
        linode, linode_id = self._allowed(target.server, world)
        self.ask(linode, linode_id)
        return {**marks, "acted_at": world.now()}

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        """Wait for the event, for SSH and for the container, which is started where it does not run."""
        linode, linode_id = self._allowed(target.server, world)
        elapsed = world.now() - (_number(marks, "acted_at") or _number(marks, "prepared_at"))
        event = self._own_event(linode, linode_id, marks)
        step = self._under_way(event, elapsed) or self._container_runs(target, world)
        if step.progress is Progress.WAIT and elapsed > SETTLE_SECONDS:
            return Step(Progress.FAILED, f"{step.detail} after {elapsed:.0f} s", reason=Reason.TIMEOUT)
        return step

    def _allowed(self, server: Server, world: World) -> tuple[LinodeClient, int]:
        """Return what is needed for it, or refuse; asked again before every step."""
        forbidden = self.forbidden(server)
        if forbidden is not None or server.linode is None:
            raise refusal(forbidden or f"{server.name} has no linode: in sites.yml")
        if world.linode is None:
            text = f"{server.name} cannot be {self.done} without a token: set LINODE_TOKEN in .env"
            raise ActionError(text, reason=Reason.LINODE_AUTH, permanent=True)
        return world.linode, server.linode

    def _own_event(self, linode: LinodeClient, linode_id: int, marks: Marks) -> LinodeEvent | None:
        """Return the newest event of this kind since the marks."""
        above = int(_number(marks, "event_above"))
        return next((event for event in linode.events(linode_id, above) if event.action == self.event), None)

    def _under_way(self, event: LinodeEvent | None, elapsed: float) -> Step | None:
        """Say what the event leaves to wait for; None once it is over."""
        if event is None:
            if elapsed > EVENT_SECONDS:
                text = f"the {self.noun} was asked for, but the Linode API shows no event of it"
                return Step(Progress.FAILED, text, reason=Reason.LINODE_ERROR)
            return Step(Progress.WAIT, f"waiting for the event of the {self.noun}", retry_after=2.0)
        if event.status == "failed":
            text = f"the Linode API says that the {self.noun} failed (event {event.id})"
            return Step(Progress.FAILED, text, reason=Reason.LINODE_ERROR)
        if not event.over:
            return Step(Progress.WAIT, f"{self.doing} (event {event.id} {event.status})", retry_after=2.0)
        return None

    def _container_runs(self, target: Target, world: World) -> Step:
        """Go in by SSH and start the container; not being let in yet is a reason to wait."""
        try:
            with world.connect(target.server) as connector:
                if target.container is None and target.compose is None:
                    return Step(Progress.DONE, f"{self.done}; SSH answers")
                state = docker.find(connector, target)
                if state.running:
                    return Step(Progress.DONE, f"{self.done}; SSH answers; {state.name} runs")
                if state.status == "paused":
                    text = f"{self.done}; {state.name} is paused: docker unpause"
                    return Step(Progress.FAILED, text, reason=Reason.NOT_ALLOWED)
                result = connector.run(docker.start_argv(state.name), _START_SECONDS)
                if result.exit_status != 0:
                    raise docker.failure(result, "docker start", target.server.name)
        except ActionError as error:
            if error.permanent and error.reason is not Reason.AUTH:  # while it boots: pam_nologin(8)
                return Step(Progress.FAILED, f"{self.done}, but: {error.message}", reason=error.reason)
            return Step(Progress.WAIT, f"{self.done}; {error.message}", retry_after=2.0, reason=error.reason)
        return Step(Progress.WAIT, f"{self.done}; {state.name} started", retry_after=1.0)


def called(instance: LinodeInstance) -> str:
    """Name a Linode for people."""
    return f"Linode {instance.label or instance.id}"


def refusal(text: str) -> ActionError:
    """Make the error of what is not allowed."""
    return ActionError(text, reason=Reason.NOT_ALLOWED, permanent=True)


def busy(instance: LinodeInstance, what: str) -> ActionError:
    """Make the error of a Linode that somebody is at."""
    text = f"{called(instance)} is busy ({what}): somebody is already at it"
    return ActionError(text, reason=Reason.LINODE_BUSY, retry_after=15.0)


def _busy(instance: LinodeInstance, events: tuple[LinodeEvent, ...]) -> ActionError | None:
    under_way = next((event for event in events if event.action in POWER_EVENTS and not event.over), None)
    if under_way is not None:
        return busy(instance, under_way.action)
    return None if instance.status in SETTLED else busy(instance, instance.status)


def _number(marks: Marks, key: str) -> float:
    value = marks.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
