"""When each site is probed: its own phase of its interval, on one loop, whatever the others do."""

import asyncio
import hashlib
import heapq
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

_log = logging.getLogger(__name__)

TICK = 0.02
"""Seconds between wake-ups: starts are batched, since a wake-up costs more than a probe."""

BATCH = 100
"""Starts in one tick at most, so that a long halt of the machine is not answered by a flood."""

FIRST_PROBE_WITHIN = 15.0
"""Seconds until a new site's first probe, also where its interval is hours."""


def phase_of(name: str) -> float:
    """Return where in its interval a site is probed, in [0, 1): the same after every restart."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(slots=True, eq=False)
class _Entry:
    name: str
    interval: float
    grid: float
    """The next moment of its own phase, on the monotonic clock."""
    task: asyncio.Task[None] | None = None
    gone: bool = False
    again: asyncio.TimerHandle | None = None
    """A probe beside its phase."""


class Scheduler:
    """Start `probe(name)` for each site when it is due; must be used on one running loop.

    `on_start` is told how many seconds late a probe starts, `on_skip` how many were left out because
    the one before still ran or the machine stood still.
    """

    def __init__(
        self,
        probe: Callable[[str], Awaitable[None]],
        on_start: Callable[[float], None],
        on_skip: Callable[[str, int], None],
    ) -> None:
        self._probe = probe
        self._on_start = on_start
        self._on_skip = on_skip
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """Return how many scheduled probes run now."""
        return len(self._running)

    def plan(self, intervals: Mapping[str, float], renewed: Collection[str] = ()) -> None:
        """Schedule exactly the sites in `intervals` (name to seconds).

        A site that stays keeps its place; one in `renewed` is probed soon, as if it were new; a probe
        of one that left, or was renewed, is cancelled.
        """
        for name in [name for name in self._entries if name not in intervals or name in renewed]:
            self._drop(self._entries.pop(name))
        now = time.monotonic()
        for name, interval in intervals.items():
            entry = self._entries.get(name)
            if entry is not None and entry.interval == interval:
                continue
            if entry is not None:
                entry.gone = True
            self._add(name, interval, now, entry.task if entry else None, soon=entry is None)
        self._heap = [item for item in self._heap if not item[2].gone]
        heapq.heapify(self._heap)
        self._arm()

    def next_due(self, name: str) -> float | None:
        """Return when the site's next probe at its phase is due, on the monotonic clock; None for no site."""
        entry = self._entries.get(name)
        return entry.grid if entry is not None else None

    def again(self, name: str, seconds: float) -> None:
        """Probe a site once more in `seconds`, beside its phase; left out if it runs or has left by then."""
        entry = self._entries.get(name)
        if entry is None or self._stopped:
            return
        if entry.again is not None:
            entry.again.cancel()
        entry.again = asyncio.get_running_loop().call_later(seconds, self._begin_again, entry)

    async def stop(self) -> None:
        """Start nothing more and cancel what runs."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _add(
        self, name: str, interval: float, now: float, task: asyncio.Task[None] | None, *, soon: bool
    ) -> None:
        phase = phase_of(name)
        offset = phase * interval
        entry = _Entry(name, interval, offset + math.ceil((now - offset) / interval) * interval, task)
        self._entries[name] = entry
        due = entry.grid
        if soon and due - now > FIRST_PROBE_WITHIN:
            due = now + phase * FIRST_PROBE_WITHIN
        heapq.heappush(self._heap, (due, next(self._order), entry))

    def _drop(self, entry: _Entry) -> None:
        entry.gone = True
        if entry.task is not None:
            entry.task.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._stopped:
            tick = math.ceil(self._heap[0][0] / TICK) * TICK
            delay = max(tick - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        """Start what is due; what is beyond one batch waits for the next tick."""
        now = time.monotonic()
        for _ in range(BATCH):
            if not self._heap or self._heap[0][0] > now:
                break
            due, _, entry = heapq.heappop(self._heap)
            if not entry.gone:
                self._start(entry, due, now)
        self._arm_after_tick() if self._heap and self._heap[0][0] <= now else self._arm()

    def _arm_after_tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._wake)

    def _start(self, entry: _Entry, due: float, now: float) -> None:
        if due >= entry.grid:
            missed = int((now - entry.grid) / entry.interval)
            entry.grid += (missed + 1) * entry.interval
            if missed:
                self._on_skip(entry.name, missed)
        heapq.heappush(self._heap, (entry.grid, next(self._order), entry))
        if entry.task is not None and not entry.task.done():
            self._on_skip(entry.name, 1)
            return
        self._on_start(now - due)
        self._begin(entry)

    def _begin_again(self, entry: _Entry) -> None:
        entry.again = None
        if not (entry.gone or self._stopped or (entry.task is not None and not entry.task.done())):
            self._begin(entry)

    def _begin(self, entry: _Entry) -> None:
        entry.task = asyncio.get_running_loop().create_task(self._run(entry.name))
        self._running.add(entry.task)
        entry.task.add_done_callback(self._running.discard)

    async def _run(self, name: str) -> None:
        try:
            await self._probe(name)
        except Exception:  # noqa: BLE001 - one site's fault must not end the schedule of all
            _log.exception("probe broke", extra={"fields": {"site": name}})
