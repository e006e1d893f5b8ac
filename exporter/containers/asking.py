"""What the asking of one engine is like: whether it answers, why not, and what the calls cost."""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.logs import fields
from exporter.containers.model import Reason, SourceError

_log = logging.getLogger(__name__)

KEPT = 300.0
"""Seconds that containers stay published while their engine cannot be asked."""


@dataclass(slots=True)
class Calls:
    """How often something was asked, and how long that took in all."""

    count: int = 0
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Asking:
    """One engine's answers. A failure is logged when it begins and when its reason changes, not each time."""

    server: str
    up: bool | None = None
    """None: it was not asked yet."""
    reason: Reason | None = None
    message: str = ""
    last_success: float | None = None
    """In unix seconds of our clock."""
    calls: dict[str, Calls] = field(default_factory=dict)
    _answered: float = 0.0
    """The same on the monotonic clock."""
    _asides: dict[str, str] = field(default_factory=dict)

    def succeeded(self) -> None:
        """Note an answer."""
        if self.up is not True:
            again = self.up is False
            _log.info("containers are watched" + " again" * again, extra=fields(server=self.server))
        self.up, self.reason, self.message = True, None, ""
        self.last_success, self._answered = time.time(), time.monotonic()

    def failed(self, error: SourceError) -> None:
        """Note that there is none, and why."""
        if self.up is not False or self.reason != error.reason:
            _log.warning("containers cannot be watched", extra=_why(self.server, error))
        self.up, self.reason, self.message = False, error.reason, error.message

    def lacks(self, what: str, error: SourceError | None) -> None:
        """Note that the engine answers, but not to this (None: that it does again)."""
        said = error.message if error is not None else ""
        if error is not None and self._asides.get(what) != said:
            _log.warning("containers are watched in part only", extra=_why(self.server, error, lacking=what))
        self._asides[what] = said

    def speaks(self) -> bool:
        """Say whether what is known of its containers may still be published."""
        return self.up is True or (self.last_success is not None and time.monotonic() - self._answered < KEPT)

    def opened(self, name: str) -> None:
        """Count the opening of what has no end of its own."""
        self.calls.setdefault(name, Calls()).count += 1

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Count a call, and how long it takes."""
        calls = self.calls.setdefault(name, Calls())
        began = time.monotonic()
        try:
            yield
        finally:
            calls.count += 1
            calls.seconds += time.monotonic() - began


def _why(server: str, error: SourceError, **more: str) -> dict[str, object]:
    return fields(server=server, **more, reason=error.reason, detail=error.message)


class Backoff:
    """How long to wait before the next try: twice as long each time, and never two servers in step."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._next = first

    def next(self) -> float:
        """Return the seconds until the next try."""
        seconds = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._most)
        return seconds

    def reset(self) -> None:
        """Begin anew: it has worked."""
        self._next = self._first
