"""What comes round again beside the incidents: each chore on a thread of its own, one run of it at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Mapping
from functools import partial

from core.logs import fields
from remediator.errors import StoreError
from remediator.jobs import Jobs
from remediator.metrics import Metrics

log = logging.getLogger(__name__)
AFTER_A_FAULT = 2.0
"""Seconds until a chore that failed is tried again."""
SPACING = 0.5
"""Seconds between two beginnings of a chore that is asked for ever again: one run tells of many changes."""

Chore = Callable[[], float]
"""Does its work and returns the seconds until it is due again."""


class Chores:
    """Hands out the chores that are due."""

    def __init__(self, chores: Mapping[str, Chore], metrics: Metrics, now: Callable[[], float]) -> None:
        self._chores = chores
        self._metrics = metrics
        self._now = now
        self._lock = threading.Lock()
        self._due: dict[str, float | None] = dict.fromkeys(chores, 0.0)
        self._began: dict[str, float] = dict.fromkeys(chores, 0.0)
        self._jobs = Jobs("chore", max(1, len(chores)), failed=partial(metrics.problem, "job"))

    def hand_out(self, now: float, only: Container[str] | None = None) -> float:
        """Begin every chore that is due, or `only` some of them; return when the next one is."""
        for name, chore in self._chores.items():
            with self._lock:
                at = self._due[name]
                if only is not None and name not in only:
                    continue
                if at is None or at > now or name in self._jobs.running():
                    continue
                self._due[name] = None
                self._began[name] = now
            self._jobs.submit(name, partial(self._run, name, chore))
        with self._lock:
            return min((at for at in self._due.values() if at is not None), default=now + 3600.0)

    def soon(self, name: str) -> None:
        """Have a chore done as soon as may be, also where one run of it is under way."""
        with self._lock:
            if name in self._due:
                self._due[name] = self._began[name] + SPACING

    def stop(self, patience: float) -> None:
        """Wait a little for what runs."""
        self._jobs.stop(patience)

    def _run(self, name: str, chore: Chore) -> None:
        wait = AFTER_A_FAULT
        try:
            wait = chore()
        except StoreError as error:
            self._metrics.problem("store")
            log.warning("database unavailable", extra=fields(chore=name, reason=str(error)))
        finally:
            with self._lock:
                if self._due[name] is None:  # nobody has asked for it meanwhile
                    self._due[name] = self._now() + wait
