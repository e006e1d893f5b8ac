"""What may be asked of the application at most: one request, and all of them together."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore


class AskedTooMuchError(Exception):
    """A parameter is missing, no number or above its maximum; the message says what is allowed."""


class FullError(Exception):
    """As much as may be done at once is being done; the message says how much that is."""


@dataclass(frozen=True)
class Bounds:
    """The maxima; seconds, and megabytes of 1,048,576 bytes."""

    cpu_seconds: float = 10.0
    burners: int = 4
    memory_mb: int = 64
    memory_mb_held: int = 160
    memory_seconds: float = 60.0
    queries: int = 500
    database_requests: int = 4
    database_seconds: float = 10.0
    slow_seconds: float = 10.0
    slow_requests: int = 8
    error_seconds: float = 60.0

    @property
    def threads(self) -> int:
        """Return how many threads serve: what may wait or work at once leaves some for the pages."""
        return self.burners + self.database_requests + self.slow_requests + 8


class Slots:
    """So many at once, and no more: whoever comes beyond that is refused, and does not wait."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._free = BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of the places for the block; raises FullError."""
        if not self._free.acquire(blocking=False):
            raise FullError(
                f"{self._most} {self._what} are under way already, and more are not allowed at once"
            )
        try:
            yield
        finally:
            self._free.release()


def number(name: str, text: str | None, most: float, least: float = 0.0) -> float:
    """Read a parameter; raises AskedTooMuchError with what is allowed."""
    allowed = f"{name} must be a number from {least:g} to {most:g}"
    if text is None:
        raise AskedTooMuchError(f"{allowed}: add ?{name}={min(most, max(least, 1)):g}")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise AskedTooMuchError(f"{allowed} (got {text[:40]!r})")
    return found


def whole_number(name: str, text: str | None, most: int) -> int:
    """Read a parameter that counts something, from 1; raises AskedTooMuchError."""
    found = number(name, text, most, 1)
    if found != int(found):
        raise AskedTooMuchError(f"{name} must be a whole number from 1 to {most} (got {text!r})")
    return int(found)
