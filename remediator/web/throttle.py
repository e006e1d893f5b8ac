"""How often a wrong password may be given: some at once, then one every few seconds, for each asker."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

AT_ONCE = 5
EVERY = 6.0
"""Seconds until one more may be tried."""
MOST = 4096
"""Askers that are remembered; the one that has been quiet for longest is forgotten first."""


class Throttle:
    """Counts failures by asker in this process; nobody's failures keep somebody else out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def try_now(self, asker: str) -> float:
        """Take one try, which `forgive` gives back; return 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            free_at = max(self._free_at.get(asker, now), now)
            wait = free_at - now - (AT_ONCE - 1) * EVERY
            if wait > 0:
                return wait
            self._free_at[asker] = free_at + EVERY
            self._free_at.move_to_end(asker)
            while len(self._free_at) > MOST:
                self._free_at.popitem(last=False)
        return 0.0

    def forgive(self, asker: str) -> None:
        """Forget the failures of who gave the right password."""
        with self._lock:
            self._free_at.pop(asker, None)
