"""The lab's own record of what really happened: the invariants are checked against it alone.

Times are seconds since the campaign began, by a clock that no fault touches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What an entry tells of."""

    OUTAGE = "outage"  # one of the plan's began or ended
    FAULT = "fault"  # one of the plan's began or ended
    SEEN = "seen"  # what the monitor would see of a site has changed
    PROBE = "probe"  # a fresh probe was answered
    COMMAND = "command"  # a command came in over SSH
    EFFECT = "effect"  # something was restarted, started, rebooted, booted
    CANARIES = "canaries"  # they began to answer or to fail
    FORBIDDEN = "forbidden"  # from now on, or no longer, a site must not be touched
    ACCEPTED = "accepted"  # the remediator answered 2xx to a notification
    TOLD = "told"  # the remediator posted an alert for people
    PROCESS = "process"  # the remediator was started, killed, or ended
    UNENDED = "unended"  # an outage that did not end within its bound


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    at: float
    kind: Kind
    subject: str
    detail: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.detail.items())
        return f"{self.at:9.3f} {self.kind:<9} {self.subject} {told}".rstrip()


class Ledger:
    """Entries in the order in which they happened; written from many threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def now(self) -> float:
        """Return seconds since the campaign began."""
        return time.monotonic() - self._began

    def add(self, kind: Kind, subject: str, **detail: Any) -> Entry:
        """Write a line as of now."""
        with self._lock:
            entry = Entry(self.now(), kind, subject, detail)
            self._entries.append(entry)
        return entry

    def add_at_once(self, kind: Kind, details: Mapping[str, Mapping[str, Any]]) -> None:
        """Write a line for each subject, all as of the same moment."""
        with self._lock:
            now = self.now()
            self._entries += [Entry(now, kind, subject, dict(detail)) for subject, detail in details.items()]

    def entries(self, kind: Kind | None = None, subject: str | None = None) -> list[Entry]:
        """Return the lines of a kind and a subject, oldest first."""
        with self._lock:
            kept = list(self._entries)
        return [
            one
            for one in kept
            if (kind is None or one.kind is kind) and (subject is None or one.subject == subject)
        ]

    def around(self, at: float, words: set[str], seconds: float = 12.0) -> Iterator[str]:
        """Tell what happened before a time to any of these subjects, for a report."""
        for one in self.entries():
            near = at - seconds <= one.at <= at + 1.0
            named = one.subject in words or one.kind in (Kind.PROCESS, Kind.FAULT, Kind.CANARIES)
            if near and named:
                yield str(one)
