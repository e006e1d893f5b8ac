"""What is said of a container, and the source that says it."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class State(StrEnum):
    """A container's state in Docker's words (`State.Status`); `ABSENT`: there is none of that name."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    ABSENT = "absent"


class Health(StrEnum):
    """What a container's own health check says (`State.Health.Status`)."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Container:
    """What an engine says of one container; times are unix seconds, limits None where there is none."""

    id: str
    name: str
    image: str
    state: State
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Health | None = None
    """None: it has no health check."""
    exit_code: int | None = None
    """Of its last end; None while it has not ended."""
    oom_killed: bool = False
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    restart_count: int = 0
    """By Docker's own restart policy, since it was created or last started by hand."""
    cpu_limit: float | None = None
    """Cores."""
    memory_limit: int | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the engine's machine has: the limit of a container that has none."""

    cores: int
    memory: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Network:
    """One interface's counters, in bytes and packets since the container started."""

    interface: str
    received_bytes: int
    sent_bytes: int
    received_packets: int = 0
    sent_packets: int = 0
    received_errors: int = 0
    sent_errors: int = 0
    received_dropped: int = 0
    sent_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container has used since it started; sizes in bytes, times in seconds of CPU."""

    time: float
    """When it was read, in unix seconds of the machine that read it."""
    cpu: float
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    cpu_periods: int = 0
    """Periods of its CPU limit (CFS) that it ran in; 0 where it has no limit."""
    cpu_throttled_periods: int = 0
    cpu_throttled: float = 0.0
    memory: int = 0
    memory_working_set: int = 0
    """Memory less the file cache that can be given back at once (total_inactive_file), as cAdvisor counts."""
    memory_rss: int = 0
    memory_cache: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    processes: int = 0
    oom_kills: int | None = None
    """None where the kernel does not count them for it."""
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a container: `action` is Docker's word (start, die, oom, health_status…)."""

    time: float
    action: str
    id: str
    name: str
    exit_code: int | None = None
    health: Health | None = None


class Reason(StrEnum):
    """Why an engine could not be asked: a closed set, which becomes a metric's label."""

    UNREACHABLE = "unreachable"
    """No connection to the server, or to the engine's socket."""
    REFUSED = "refused"
    """The key, the wrapper, the certificate or the socket's owner does not let us in."""
    TIMEOUT = "timeout"
    ENGINE_DOWN = "engine_down"
    """The server answers, its Docker engine does not."""
    WRAPPER = "wrapper"
    """There is no sitemedic-wrapper there, or one too old to know the verb."""
    GARBLED = "garbled"
    """It answered something that is not an answer."""


class SourceError(Exception):
    """An engine could not be asked; the message says what to do, and holds no secret."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class Source(Protocol):
    """One server's engine. Every method raises SourceError, and nothing else, when it cannot be asked."""

    async def containers(self) -> list[Container]:
        """Return every container that may be seen, running or not, in one call."""

    async def machine(self) -> Machine:
        """Return what the machine has, in one call that is made once a connection."""

    async def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """Return what the running ones of these use, by id; one that has ended meanwhile is left out."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on, until it is closed; a lost connection is a SourceError."""

    async def close(self) -> None:
        """End every call and connection; never raises."""
