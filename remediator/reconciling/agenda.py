"""Which open incident is looked at when. It only spares work: what it has not heard of is due at once."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Container, Iterable


class Agenda:
    """Incidents with the time of their next look, for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._new: set[int] = set()

    def __len__(self) -> int:
        """Return how many incidents are open."""
        return len(self._due)

    def know(self, read: Callable[[], Iterable[int]]) -> None:
        """Take over which incidents are open; one that is new here is due at once.

        What is put in while `read` runs stays: it may have been opened too late to be seen by it.
        """
        with self._lock:
            self._new.clear()
        found = list(read())
        with self._lock:
            self._due = {one: self._due.get(one, 0.0) for one in (*found, *self._new)}
            self._heap = [(at, one) for one, at in self._due.items()]
            heapq.heapify(self._heap)

    def put(self, incident: int, at: float) -> None:
        """Look at an incident at that time, and no sooner."""
        with self._lock:
            self._new.add(incident)
            self._due[incident] = at
            heapq.heappush(self._heap, (at, incident))

    def soon(self, incidents: Iterable[int]) -> None:
        """Look at these at once."""
        for incident in incidents:
            self.put(incident, 0.0)

    def drop(self, incident: int) -> None:
        """Look at an incident no more: it is over, or has an attempt under way."""
        with self._lock:
            self._new.discard(incident)
            self._due.pop(incident, None)

    def due(self, now: float, busy: Container[object], most: int) -> tuple[list[int], float | None]:
        """Return at most so many incidents that are due, longest waiting first, and when the next one is.

        They stay where they are until they are put elsewhere. None: nothing is to come, or it has to wait
        until one of `busy` is done.
        """
        found: list[int] = []
        seen: list[tuple[float, int]] = []
        following: float | None = None
        with self._lock:
            while self._heap and len(found) < most:
                at, incident = self._heap[0]
                if at > now:
                    following = at
                    break
                heapq.heappop(self._heap)
                if self._due.get(incident) != at or (at, incident) in seen[-1:]:
                    continue  # put elsewhere since, or twice to the same time
                seen.append((at, incident))
                if incident not in busy:
                    found.append(incident)
            for entry in seen:
                heapq.heappush(self._heap, entry)
        return found, following
