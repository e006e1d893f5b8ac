"""The reconciler: looks at every open incident when something changed and every few seconds.

Level-triggered: it needs no memory of its own. What it remembers (when to look at which incident again)
only spares work, and is empty after a start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from functools import partial

from core.logs import fields
from remediator.acting.attempts import Attempts
from remediator.acting.stages import Stages
from remediator.deciding.gather import Gatherer
from remediator.errors import LeaseLostError, RemediatorError, StoreError
from remediator.jobs import Jobs
from remediator.reconciling.agenda import Agenda
from remediator.reconciling.chores import Chores
from remediator.reconciling.decider import Decider
from remediator.reconciling.leadership import Alone, Lead
from remediator.store import incidents as store_incidents
from remediator.store.database import pauses

log = logging.getLogger(__name__)
BREATH = 0.02
"""Seconds between two rounds at least, so that many small changes make one round."""
TOUCHING_NOTHING = frozenset({"silences", "show", "readiness"})
"""The chores of a remediator that another one leads: they write nothing and tell nobody."""


class Reconciler:
    """One thread that hands out work to two bounded pools: deciding, and acting."""

    def __init__(
        self,
        attempts: Attempts,
        gatherer: Gatherer,
        chores: Chores,
        lead: Lead | None = None,
        looks: int = 8,
        acts: int = 8,
    ) -> None:
        self._lead: Lead = lead or Alone()
        self._attempts = attempts
        self._shop = attempts.shop
        self._chores = chores
        self._agenda = Agenda()
        self._decider = Decider(attempts, gatherer, self._agenda, self._begin, self.tell_now)
        self._stages = Stages(attempts, lambda: self._stopping.is_set())
        failed = partial(self._shop.metrics.problem, "job")
        self._looks = Jobs("decide", looks, done=self.wake, failed=failed)
        self._acts = Jobs("act", acts, done=self._attempt_rests, failed=failed)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._rested = threading.Event()
        self._attempts_due = self._open_due = 0.0
        self.alive_at = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, name="reconcile", daemon=True),
            threading.Thread(target=self._renew, name="renew", daemon=True),
        ]

    def start(self) -> None:
        """Start looking."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float) -> None:
        """Stop handing out work, wait a little for what runs, and give back the leases of what waits."""
        self._stopping.set()
        self._changed.set()
        deadline = time.monotonic() + patience
        for jobs in (self._acts, self._looks, self._chores):
            jobs.stop(max(0.0, deadline - time.monotonic()))
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, deadline - time.monotonic()))
        if not self._lead.leads:
            return
        try:
            self._attempts.release_idle({key for key in self._acts.running() if isinstance(key, int)})
            self._lead.resign()
        except RemediatorError as error:
            log.warning("leases not given back", extra=fields(reason=str(error)))

    def wake(self, incidents: Iterable[int] = ()) -> None:
        """Look now: at these incidents in any case, at the others when they are due."""
        self._agenda.soon(incidents)
        self._changed.set()

    def tell_now(self) -> None:
        """Tell people at the next round."""
        self._chores.soon("tell")
        self._changed.set()

    def alive(self) -> bool:
        """Tell whether rounds still come to their end."""
        return time.monotonic() - self.alive_at < 10.0 + 3 * self._shop.timing.reconcile

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.is_set():
            self._changed.wait(wait)
            self._stopping.wait(BREATH)
            self._changed.clear()
            if self._stopping.is_set():
                return
            try:
                wait = self._round()
            except StoreError as error:
                self._shop.metrics.problem("store")
                log.warning("database unavailable", extra=fields(reason=str(error)))
                wait = 0.5
            except Exception:
                self._shop.metrics.problem("job")
                log.exception("reconciling failed")
                wait = 1.0

    def _round(self) -> float:
        """Hand out all work that is due and that there is room for; return the seconds until the next."""
        leads, now = self._lead.held(), self._shop.now()
        self._shop.metrics.leads.set(leads)
        if not leads:
            return self._watch(now)
        if self._rested.is_set():
            self._rested.clear()
            self._attempts_due = self._open_due = 0.0
        soonest = self._hand_out_attempts(now)
        soonest = min(soonest, self._hand_out_incidents(now))
        soonest = min(soonest, self._chores.hand_out(now))
        self.alive_at = time.monotonic()
        self._shop.metrics.last_reconcile.set(now)
        return min(max(soonest - self._shop.now(), 0.05), self._shop.timing.reconcile)

    def _watch(self, now: float) -> float:
        """Show what another remediator works on, ready to take over; return the seconds until again."""
        self._read_open()
        self._chores.hand_out(now, only=TOUCHING_NOTHING)
        self.alive_at = time.monotonic()
        self._shop.metrics.last_reconcile.set(now)
        return min(self._lead.patience, self._shop.timing.reconcile)

    def _hand_out_attempts(self, now: float) -> float:
        """Hand out the attempts that are due; ask for them only where that may have changed."""
        if now < self._attempts_due:
            return self._attempts_due
        try:
            ready, self._attempts_due = self._attempts.to_work(now)
        except LeaseLostError:
            self._shop.metrics.problem("lease_lost")
            return now
        for attempt_id in ready:
            self._begin(attempt_id)
        return self._attempts_due

    def _hand_out_incidents(self, now: float) -> float:
        """Hand out the incidents that are due; which ones are open is read every few seconds only."""
        if now >= self._open_due:
            self._agenda.know(self._read_open)
            self._open_due = now + self._shop.timing.reconcile
        running = self._looks.running()
        due, following = self._agenda.due(now, running, self._looks.free)
        for incident_id in due:
            self._looks.submit(incident_id, partial(self._decider.consider, incident_id))
        return self._open_due if following is None else min(following, self._open_due)

    def _read_open(self) -> list[int]:
        with self._shop.store.read() as connection:
            open_now = store_incidents.to_decide(connection)
            self._shop.metrics.set_open(store_incidents.counts(connection))
            self._shop.metrics.paused.set(len(pauses(connection)))
        return open_now

    def _begin(self, attempt_id: int) -> None:
        self._acts.submit(attempt_id, partial(self._stages.work, attempt_id))

    def _attempt_rests(self) -> None:
        """Read both anew: an attempt has its verdict, so that its incident may be open again, or waits."""
        self._rested.set()
        self._changed.set()

    def _renew(self) -> None:
        """Lengthen our leases; a job that hangs loses its own after `job_limit` seconds."""
        while not self._stopping.wait(self._shop.timing.lease_ttl / 4):
            young = self._acts.running(younger_than=self._shop.timing.job_limit)
            try:
                self._attempts.renew({key for key in young if isinstance(key, int)})
            except StoreError as error:
                self._shop.metrics.problem("store")
                log.warning("leases not renewed", extra=fields(reason=str(error)))
