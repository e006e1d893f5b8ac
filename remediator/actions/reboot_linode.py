"""Reboot the Linode of a server: one POST, then its event, then SSH, then the container."""

from __future__ import annotations

from remediator import docker
from remediator.actions.action import (
    ActionError,
    LinodeClient,
    LinodeEvent,
    LinodeInstance,
    Marks,
    Progress,
    Reason,
    Server,
    Step,
    Target,
    World,
)

REBOOT = "linode_reboot"
EVENT_SECONDS = 60.0
"""An accepted reboot shows as an event within this; without one it was not accepted."""
SETTLE_SECONDS = 600.0
"""Booting, and the host's own checks of its disks, may take minutes."""
_POWER = frozenset({REBOOT, "linode_boot", "linode_shutdown", "lassie_reboot", "host_reboot"})
_START_SECONDS = 60.0


class RebootLinode:
    """Reboots a server whose configuration allows it; that it is not our own is the guard own_host's."""

    name = "reboot_linode"

    def prepare(self, target: Target, world: World) -> Marks:
        """Refuse what is not allowed or not the time for it, and note the highest event id."""
        linode, linode_id = _allowed(target.server, world)
        events = linode.events(linode_id, limit=25)
        instance = linode.instance(linode_id)
        _refuse_status(instance, events)
        return {
            "event_above": max((event.id for event in events), default=0),
            "linode": linode_id,
            "status": instance.status,
            "prepared_at": world.now(),
        }

    def happened(self, target: Target, marks: Marks, world: World) -> bool | None:
        """Look for a newer reboot event; None while one may still appear, or the API cannot be asked."""
        try:
            linode, linode_id = _allowed(target.server, world)
            if _reboot_event(linode, linode_id, marks) is not None:
                return True
            if linode.instance(linode_id).status not in ("running", "offline"):
                return None
        except ActionError:
            return None
        begun = max(_number(marks, "prepared_at"), _number(marks, "acting_at"))
        return None if world.now() < begun + EVENT_SECONDS else False

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        """Ask for the reboot, once; ActionError(unknown) when it cannot be told whether it was accepted."""
        linode, linode_id = _allowed(target.server, world)
        linode.reboot(linode_id)
        return {**marks, "acted_at": world.now()}

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        """Wait for the event, for SSH and for the container, which is started where it does not run."""
        linode, linode_id = _allowed(target.server, world)
        elapsed = world.now() - (_number(marks, "acted_at") or _number(marks, "prepared_at"))
        event = _reboot_event(linode, linode_id, marks)
        step = _booted(event, elapsed) or _container_runs(target, world)
        if step.progress is Progress.WAIT and elapsed > SETTLE_SECONDS:
            return Step(Progress.FAILED, f"{step.detail} after {elapsed:.0f} s", reason=Reason.TIMEOUT)
        return step


def _allowed(server: Server, world: World) -> tuple[LinodeClient, int]:
    """Return what is needed for a reboot, or refuse; asked again before every step."""
    if server.linode is None or not server.may_reboot:
        raise _refusal(f"{server.name} may not be rebooted: give it linode: and may_reboot: true")
    if world.linode is None:
        text = f"{server.name} cannot be rebooted without a token: set LINODE_TOKEN in .env"
        raise ActionError(text, reason=Reason.LINODE_AUTH, permanent=True)
    return world.linode, server.linode


def _refuse_status(instance: LinodeInstance, events: tuple[LinodeEvent, ...]) -> None:
    if instance.status == "offline":
        raise _refusal(
            f"Linode {instance.label or instance.id} is switched off, perhaps on purpose: boot it yourself"
        )
    under_way = next((event for event in events if event.action in _POWER and not event.over), None)
    if instance.status != "running" or under_way is not None:
        what = under_way.action if under_way is not None else instance.status
        raise ActionError(
            f"Linode {instance.label or instance.id} is busy ({what}): somebody is already at it",
            reason=Reason.LINODE_BUSY,
            retry_after=15.0,
        )


def _reboot_event(linode: LinodeClient, linode_id: int, marks: Marks) -> LinodeEvent | None:
    """Return the newest reboot since the marks."""
    above = int(_number(marks, "event_above"))
    return next((event for event in linode.events(linode_id, above) if event.action == REBOOT), None)


def _booted(event: LinodeEvent | None, elapsed: float) -> Step | None:
    """Say what the event leaves to wait for; None once the Linode has been rebooted."""
    if event is None:
        if elapsed > EVENT_SECONDS:
            text = "the reboot was asked for, but the Linode API shows no event of it"
            return Step(Progress.FAILED, text, reason=Reason.LINODE_ERROR)
        return Step(Progress.WAIT, "waiting for the event of the reboot", retry_after=2.0)
    if event.status == "failed":
        text = f"the Linode API says that the reboot failed (event {event.id})"
        return Step(Progress.FAILED, text, reason=Reason.LINODE_ERROR)
    if not event.over:
        return Step(Progress.WAIT, f"rebooting (event {event.id} {event.status})", retry_after=2.0)
    return None


def _container_runs(target: Target, world: World) -> Step:
    """Go in by SSH and start the container; not being let in yet is a reason to wait."""
    try:
        with world.connect(target.server) as connector:
            if target.container is None and target.compose is None:
                return Step(Progress.DONE, "rebooted; SSH answers")
            state = docker.find(connector, target)
            if state.running:
                return Step(Progress.DONE, f"rebooted; SSH answers; {state.name} runs")
            if state.status == "paused":
                text = f"rebooted; {state.name} is paused: docker unpause"
                return Step(Progress.FAILED, text, reason=Reason.NOT_ALLOWED)
            result = connector.run(docker.start_argv(state.name), _START_SECONDS)
            if result.exit_status != 0:
                raise docker.failure(result, "docker start", target.server.name)
    except ActionError as error:
        if error.permanent and error.reason is not Reason.AUTH:  # while it boots: pam_nologin(8)
            return Step(Progress.FAILED, f"rebooted, but: {error.message}", reason=error.reason)
        return Step(Progress.WAIT, f"rebooted; {error.message}", retry_after=2.0, reason=error.reason)
    return Step(Progress.WAIT, f"rebooted; {state.name} started", retry_after=1.0)


def _refusal(text: str) -> ActionError:
    return ActionError(text, reason=Reason.NOT_ALLOWED, permanent=True)


def _number(marks: Marks, key: str) -> float:
    value = marks.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
