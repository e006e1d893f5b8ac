"""What was true before anything was touched: a restart destroys the evidence, so it is kept first."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from core.servers.server import ActionError
from remediator.abreast import abreast
from remediator.clock import off
from remediator.model.action import JSON, LinodeEvent, Target, World
from remediator.on_server import docker
from remediator.on_server.port import PortState, place_of, try_port

_MOST_EVENTS = 10


@dataclass(frozen=True)
class LinodeEvidence:
    """A Linode's status, and its newest events; `username` is the token's own, None where unknown."""

    status: str
    recent_events: tuple[LinodeEvent, ...] = ()
    username: str | None = None


@dataclass(frozen=True)
class PortEvidence:
    """What the site's own port does with a connection from here."""

    host: str
    port: int
    state: PortState


@dataclass(frozen=True)
class Evidence:
    """The facts of one look; `ssh` is "ok", "local", or the reason why there is no way in.

    `problems` says in a sentence each what could not be found out.
    """

    time: float
    ssh: str
    container: docker.ContainerState | None = None
    log_tail: tuple[str, ...] = ()
    linode: LinodeEvidence | None = None
    port: PortEvidence | None = None
    problems: tuple[str, ...] = field(default=())
    clock_off: float = 0.0
    """How far the machine's own clock was ahead of ours: what others date may be in its time."""

    def to_json(self) -> dict[str, JSON]:
        """Return the evidence as it is stored and shown."""
        container: dict[str, JSON] | None = None if self.container is None else asdict(self.container)
        linode: dict[str, JSON] | None = None
        if self.linode is not None:
            events: list[JSON] = [_event(event, self.linode.username) for event in self.linode.recent_events]
            linode = {"status": self.linode.status, "recent_events": events}
        return {
            "time": self.time,
            "ssh": self.ssh,
            "port": None if self.port is None else asdict(self.port),
            "container": container,
            "log_tail": list(self.log_tail),
            "linode": linode,
            "problems": list(self.problems),
            "clock_off": self.clock_off,
        }


def gather(target: Target, world: World) -> Evidence:
    """Look at the container, its log, the Linode and the port; never raises: what fails is evidence too."""
    inside, outside, port = abreast(
        (
            lambda: _look_inside(target, world),
            lambda: _look_from_outside(target, world),
            lambda: _look_at_the_port(target, world),
        )
    )
    return replace(
        inside,
        linode=outside.linode,
        port=port.port,
        time=world.now(),
        problems=(*inside.problems, *outside.problems),
        clock_off=round(off(world.now), 1),
    )


def _look_inside(target: Target, world: World) -> Evidence:
    reached, container, log_tail = "", None, ()  # type: str, docker.ContainerState | None, tuple[str, ...]
    problems: list[str] = []
    try:
        with world.connect(target.server) as connector:
            reached = "local" if target.server.local else "ok"
            container = docker.find(connector, target)
            log_tail = docker.log_tail(connector, container.name)
    except ActionError as error:
        problems.append(error.message)
        reached = reached or str(error.reason)
    except Exception as error:  # noqa: BLE001 - a look must not stop the healing, and says what was wrong
        problems.append(f"looking inside failed: {type(error).__name__}")
        reached = reached or "unknown"
    return Evidence(world.now(), reached, container, log_tail, problems=tuple(problems))


def _look_from_outside(target: Target, world: World) -> Evidence:
    linode_id, problem = target.server.linode, ""
    if linode_id is None or world.linode is None:
        return Evidence(world.now(), "")
    try:
        status = world.linode.instance(linode_id).status
        events = world.linode.events(linode_id, limit=_MOST_EVENTS)
        return Evidence(world.now(), "", linode=LinodeEvidence(status, events, world.linode.username()))
    except ActionError as error:
        problem = error.message
    except Exception as error:  # noqa: BLE001 - as above
        problem = f"asking the Linode API failed: {type(error).__name__}"
    return Evidence(world.now(), "", problems=(problem,))


def _look_at_the_port(target: Target, world: World) -> Evidence:
    place = place_of(target.instance)
    if place is None:
        return Evidence(world.now(), "")
    return Evidence(world.now(), "", port=PortEvidence(*place, try_port(*place)))


def _event(event: LinodeEvent, own: str | None) -> dict[str, JSON]:
    """Write an event, with whether it is somebody else's: null where that cannot be told."""
    foreign = None if own is None else event.username != own
    return {**asdict(event), "foreign": foreign}
