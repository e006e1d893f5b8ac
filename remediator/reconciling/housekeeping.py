"""Small chores of the remediator: pauses that end, incidents shown, old notifications forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from remediator.acting.attempts import PATIENCE
from remediator.metrics import Metrics
from remediator.store.database import Store, forget_notifications, pauses, remove_pause
from remediator.store.incidents import summaries
from remediator.store.watched import differs, note_watched
from remediator.timing import Timing

FORGET_EVERY = 3600.0
NOTE_SITES_EVERY = 10.0
TIDY_EVERY = 2.0
MOST_SHOWN = 10_000
"""Incidents in `sitemedic_incident_info`."""
SHOWN_A_SECOND = 1000
"""With thousands of them they are read more rarely: 10,000 take 85 ms of CPU."""


class Housekeeping:
    """The chores that need the database and nothing else; each returns the seconds until it is due again."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._timing = timing
        self._now = now
        self._wake = wake
        self._forgets = False

    def end_pauses(self) -> float:
        """End the pauses whose time is over."""
        now = self._now()
        with self._store.read() as connection:
            over = [one for one in pauses(connection) if one.until is not None and one.until <= now]
        if over:
            with self._store.write(PATIENCE) as connection:
                for pause in set(over) & set(pauses(connection)):
                    remove_pause(connection, pause.scope, "itself: its time is over", now)
            self._wake()
        return self._timing.reconcile

    def show_incidents(self) -> float:
        """Publish the newest incident of each site."""
        with self._store.read() as connection:
            found = summaries(connection, self._now() - self._timing.ended_shown, MOST_SHOWN)
        self._metrics.info.rows = [
            (one.site, str(one.incident), one.state, one.action, one.outcome) for one in found
        ]
        return self._timing.reconcile + len(found) / SHOWN_A_SECOND

    def note_sites(self, sites: Collection[str]) -> float:
        """Note since when sites are watched: before that nobody can say whether they were up."""
        with self._store.read() as connection:
            changed = differs(connection, sites)
        if changed:
            with self._store.write(PATIENCE) as connection:
                note_watched(connection, sites, self._now())
        return NOTE_SITES_EVERY

    def forget_notifications(self) -> float:
        """Delete notifications that nobody will ask for any more.

        Not right after the start, and by the earlier of two clocks: one that was set wrong when the process
        began must not make it forget what is a day old.
        """
        if self._forgets:
            before = min(self._now(), time.time()) - self._timing.keep_notifications
            with self._store.write(PATIENCE) as connection:
                forget_notifications(connection, before)
        self._forgets = True
        return FORGET_EVERY

    def tidy(self) -> float:
        """Let the database put its files in order."""
        self._store.tidy()
        return TIDY_EVERY
