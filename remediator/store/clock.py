"""The clock of a database that several remediators share: theirs need not agree."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from remediator.clock import since_boot
from remediator.store.postgres import database_time

MOST_DOUBT = 0.5
"""Seconds that the question may have taken; a later answer says too little."""


class DatabaseClock:
    """The database's time: asked now and then, carried on by the time since boot in between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset: float | None = None

    def ask(self, connection: Connection) -> None:
        """Ask what time it is there."""
        before = since_boot()
        found = database_time(connection)
        after = since_boot()
        with self._lock:
            if after - before <= MOST_DOUBT or self._offset is None:
                self._offset = found - (before + after) / 2

    def now(self) -> float:
        """Return its time in unix seconds; it must have been asked before."""
        with self._lock:
            assert self._offset is not None
            return since_boot() + self._offset
