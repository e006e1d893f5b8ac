"""Simulated time: what happens when, in order, as fast as it can be worked out."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Call = Callable[[float], object]


class Timeline:
    """Calls by their time; what is due for one key is due once, at the time said last."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int | None, Call]] = []
        self._number = count()
        self._due: dict[int, float] = {}

    def at(self, time: float, call: Call) -> None:
        """Call at a time."""
        heapq.heappush(self._heap, (time, next(self._number), None, call))

    def due(self, key: int, time: float, call: Call) -> None:
        """Call at a time, and not at another that was said for this key before."""
        self._due[key] = time
        heapq.heappush(self._heap, (time, next(self._number), key, call))

    def run(self, until: float) -> None:
        """Let time go by."""
        while self._heap and self._heap[0][0] <= until:
            time, _number, key, call = heapq.heappop(self._heap)
            if key is None or self._due.get(key) == time:
                call(time)
