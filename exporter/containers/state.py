"""What is known of one watched container: its state as events and lists tell it, its counters, its use."""

from dataclasses import dataclass, field

from exporter.containers.counters import OOMKills, Starts
from exporter.containers.model import Container, Event, Health, State, Usage
from exporter.containers.selection import Wanted

_AFTER = {
    "create": State.CREATED,
    "start": State.RUNNING,
    "die": State.EXITED,
    "pause": State.PAUSED,
    "unpause": State.RUNNING,
    "destroy": State.ABSENT,
}
"""The state that an event leads to, until the engine's list says it better."""


@dataclass(slots=True, eq=False)
class ContainerState:
    """One name on one server; times are unix seconds of our own clock, except `started_at`."""

    server: str
    wanted: Wanted
    seen: float = 0.0
    """When somebody last told of it."""
    told: Container | None = None
    """What the engine's list last said; None: it was never there."""
    state: State = State.ABSENT
    health: Health | None = None
    exit_code: int | None = None
    """Of its last end, also while it runs again; so is `oom_killed`."""
    oom_killed: bool = False
    down_since: float | None = None
    """Since when it has not been up; None while it is, and before anything is known."""
    unhealthy_since: float | None = None
    starts: Starts = field(default_factory=Starts)
    oom_kills: OOMKills = field(default_factory=OOMKills)
    usage: Usage | None = None
    cpu: float | None = None
    """Cores, over the last window."""
    _ooms: bool = False
    """Whether its memory has run out since it started."""
    lines: tuple[str, ...] | None = None
    """Its ready exposition, made when it is first asked for."""

    @property
    def up(self) -> bool:
        """Say whether it runs, and is neither paused nor between two starts."""
        return self.state is State.RUNNING

    def want(self, wanted: Wanted) -> None:
        """Take over what a reload changed."""
        if wanted != self.wanted:
            self.wanted, self.lines = wanted, None

    def listed(self, container: Container, now: float, *, old: bool = False) -> None:
        """Take up what the engine's list says; an `old` one tells nothing of starts that came after it."""
        if not old and self.starts.listed(container):
            self.oom_kills.begin()
            self.forget_usage()
        self.oom_kills.listed(container)
        self.told = container
        if container.exit_code is not None:
            self.exit_code, self.oom_killed = container.exit_code, container.oom_killed
        ended = container.finished_at if container.state is not State.PAUSED else None
        self._turn(container.state, container.health, ended, now)

    def missed(self, now: float) -> None:
        """Take up that the engine has none of this name."""
        self._turn(State.ABSENT, None, None, now)

    def happened(self, event: Event, now: float) -> None:
        """Take up an event; one of an earlier container of this name is none of ours any more."""
        stranger = self.told is not None and event.id != self.told.id
        if stranger and event.action not in ("create", "start"):
            return
        health = event.health if event.action == "health_status" else self.health
        if event.action == "start":
            self.starts.happened(event)
            self.oom_kills.begin()
            self._ooms = False
            health = Health.STARTING if self.health is not None else None
        elif event.action == "oom":
            self.oom_kills.happened()
            self._ooms = True
        elif event.action == "die":
            self.exit_code, self.oom_killed = event.exit_code, self._ooms
        state = _AFTER.get(event.action, self.state)
        if stranger and event.action == "create" and self.up:
            return  # its name is free before it is: the list will say more
        self._turn(state, health if state is not State.ABSENT else None, event.time, now)

    def used(self, usage: Usage) -> None:
        """Take up what it uses."""
        before = self.usage
        self.cpu = None
        if before is not None and usage.time > before.time and usage.cpu >= before.cpu:
            self.cpu = (usage.cpu - before.cpu) / (usage.time - before.time)
        self.usage, self.lines = usage, None
        self.oom_kills.used(usage)

    def forget_usage(self) -> None:
        """Forget what it used."""
        if self.usage is not None:
            self.usage = self.cpu = self.lines = None

    def _turn(self, state: State, health: Health | None, at: float | None, now: float) -> None:
        """Change to a state that began `at` by the engine's clock, which may be wrong; ours is not."""
        since = min(max(at or now, self.seen), now)
        if state is State.RUNNING:
            self.down_since = None
        elif self.down_since is None:
            self.down_since = since
        if health is not Health.UNHEALTHY:
            self.unhealthy_since = None
        elif self.unhealthy_since is None:
            self.unhealthy_since = since if self.seen else now
        if state not in (State.RUNNING, State.PAUSED):
            self.forget_usage()
        self.state, self.health, self.seen, self.lines = state, health, now, None
