"""Whose turn it is to write: one at a time, requests before workers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

LONG_ENOUGH = 0.25
"""Seconds after which a worker goes after one more request: a storm of them must not stop the work."""


@dataclass(eq=False)
class _Waiting:
    """One who waits, asleep on a lock of its own: a turn that ends wakes one, not all."""

    first: bool
    since: float
    asleep: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.asleep.acquire()

    def wake(self) -> None:
        if self.asleep.locked():
            self.asleep.release()


class Turns:
    """Gives out the one turn; safe to use from many threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._request_had_it = False
        self._waiting: list[_Waiting] = []

    def take(self, patience: float, first: bool = False) -> bool:
        """Wait for the turn; False where it has not come within `patience` seconds."""
        me = _Waiting(first, time.monotonic())
        with self._guard:
            self._waiting.append(me)
            if self._mine(me):
                return True
        while True:
            left = me.since + patience - time.monotonic()
            me.asleep.acquire(timeout=max(left, 0.0))
            with self._guard:
                if self._mine(me):
                    return True
                if left <= 0:
                    self._waiting.remove(me)
                self._wake()  # it may be another's by now
                if left <= 0:
                    return False

    def give_back(self) -> None:
        """End the turn that was taken."""
        with self._guard:
            self._taken = False
            self._wake()

    def _mine(self, me: _Waiting) -> bool:
        if self._taken or self._next() is not me:
            return False
        self._waiting.remove(me)
        self._taken, self._request_had_it = True, me.first
        return True

    def _wake(self) -> None:
        following = self._next()
        if following is not None and not self._taken:
            following.wake()

    def _next(self) -> _Waiting | None:
        """Return who is next: the request that came first, or now and then the worker."""
        request = next((one for one in self._waiting if one.first), None)
        worker = next((one for one in self._waiting if not one.first), None)
        if request is None or worker is None:
            return request or worker
        long_enough = time.monotonic() - worker.since >= LONG_ENOUGH
        return worker if long_enough and self._request_had_it else request
