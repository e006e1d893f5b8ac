"""A clock that nobody can set: budgets, cooldowns and leases must not end, or stand still, because of NTP."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from core.logs import fields

log = logging.getLogger(__name__)
SLEW = 0.05
"""How much faster or slower than time it goes, until it agrees with the machine's clock again."""
JUMP = 10.0
"""Seconds of difference that are told."""


def since_boot() -> float:
    """Return seconds that nobody can set."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # goes on while the machine sleeps; Linux only
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


class SteadyClock:
    """Starts at the machine's time and follows it gently: an hour's jump takes a day to catch up."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._time = wall()
        self._seen = steady()
        self._off = False

    def __call__(self) -> float:
        """Return the same as `now`."""
        return self.now()

    def follow(self, wall: Callable[[], float]) -> None:
        """Go by another clock than the machine's from now on."""
        with self._lock:
            self._wall = wall
            self._time = wall()

    def off(self) -> float:
        """Return how far the clock that it follows is ahead of it, or behind, where that was set."""
        behind = self._wall() - self.now()
        return behind if abs(behind) > JUMP else 0.0

    def now(self) -> float:
        """Return unix seconds that never run backwards."""
        with self._lock:
            steady = self._steady()
            gone = max(0.0, steady - self._seen)
            self._seen = steady
            self._time += gone
            behind = self._wall() - self._time
            self._time += min(max(behind, -SLEW * gone), SLEW * gone)
            self._tell(behind)
            return self._time

    def _tell(self, behind: float) -> None:
        off = abs(behind) > JUMP
        if off and not self._off:
            log.warning("the machine's clock was set; followed slowly", extra=fields(seconds=round(behind)))
        self._off = off


def off(now: Callable[[], float]) -> float:
    """Return how far the machine's own clock is ahead of this one.

    What others date, and people, is in that time; and right after it was set nobody knows which one is right.
    """
    clock = getattr(now, "__self__", now)
    return clock.off() if isinstance(clock, SteadyClock) else 0.0
