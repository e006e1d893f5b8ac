"""Counters of a container that only ever grow, whatever Docker's own do when it is started or made anew."""

from dataclasses import dataclass

from exporter.containers.model import Container, Event, State, Usage

_SAME_START = 1.0
"""Seconds that the event of a start may come after the start itself."""


@dataclass(slots=True)
class Starts:
    """Every start after the first one known, by whomever: told by events, or by lists where one was missed.

    An event comes a moment after the `started_at` of the same start, both by the engine's clock.
    """

    count: int = 0
    _latest: float | None = None
    """The engine's time of the latest start that is counted, or was there before."""
    _awaited: float | None = None
    """A start that a list told of before its event came."""
    _id: str = ""
    _by_policy: int = 0
    """What Docker's RestartCount is known to be, or may have become."""

    def happened(self, event: Event) -> None:
        """Count the event of a start."""
        awaited, self._awaited = self._awaited, None
        same, self._id = event.id == self._id, event.id
        if awaited is not None and 0 <= event.time - awaited < _SAME_START:
            self._latest = max(self._latest or 0.0, event.time)
            return
        self._by_policy = self._by_policy + 1 if same else 0
        if self._latest is not None:
            self.count += 1
        self._latest = max(self._latest or 0.0, event.time)

    def listed(self, container: Container) -> bool:
        """Count what a list tells of starts that no event told of; say whether there were any."""
        started, restarts = container.started_at, container.restart_count
        if started is None:
            return False
        if container.state is State.RESTARTING:
            restarts = max(0, restarts - 1)  # Docker has counted the start that it is about to make
        first, same = self._latest is None, container.id == self._id
        known = self._latest is not None and started <= self._latest
        missed = restarts - self._by_policy if same else 0
        if known:
            missed = max(missed, 0)
        else:
            self._latest = self._awaited = started
            missed = 0 if first else max(missed, 1)
        self.count += missed
        self._by_policy = restarts if not same or restarts == 0 else max(self._by_policy, restarts)
        self._id = container.id
        return missed > 0 and not known


@dataclass(slots=True)
class OOMKills:
    """Kills for want of memory: told by events, by the kernel's own counter, or by how the container ended.

    Of what is told of one life of the container, the most is true.
    """

    _before: int = 0
    """In its earlier lives."""
    _events: int = 0
    _kernel: int = 0
    _kernel_first: int | None = None
    _end: bool = False
    _end_first: bool | None = None

    @property
    def count(self) -> int:
        """Return how many there were since it is watched."""
        return self._before + max(self._events, self._kernel, int(self._end))

    def begin(self) -> None:
        """Note that a new life begins."""
        self._before = self.count
        self._events = self._kernel = 0
        self._end = False
        self._kernel_first, self._end_first = 0, False

    def happened(self) -> None:
        """Count an event."""
        self._events += 1

    def used(self, usage: Usage) -> None:
        """Take up the kernel's counter, which begins at 0 with each life."""
        if usage.oom_kills is None:
            return
        if self._kernel_first is None:
            self._kernel_first = usage.oom_kills
        self._kernel = max(self._kernel, usage.oom_kills - self._kernel_first)

    def listed(self, container: Container) -> None:
        """Take up how the container ended, where it has."""
        ended = container.oom_killed and container.state is not State.RUNNING
        if self._end_first is None:
            self._end_first = ended
        self._end = self._end or (ended and not self._end_first)
