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
from remediator import store_approvals, store_incidents
from remediator.attempts import PATIENCE, Attempts
from remediator.chores import Chores
from remediator.decide import decide, passes_with
from remediator.errors import LeaseLostError, RemediatorError, StoreError
from remediator.facts import Facts
from remediator.gather import Gatherer
from remediator.incident import Decision, Outcome, Reason, State, Verb
from remediator.jobs import Jobs
from remediator.stages import Stages
from remediator.store import pauses
from remediator.store_storm import note_storm

log = logging.getLogger(__name__)
BREATH = 0.02
"""Seconds between two rounds at least, so that many small changes make one round."""
LOOKS_A_SECOND = 50
"""With thousands of open incidents each is looked at more rarely, so that new ones find time and CPU."""
STORMS = frozenset({Reason.TOO_MANY_UNHEALTHY, Reason.CANARIES_FAIL})
NOT_BEFORE = 0.2
"""Seconds until an incident is looked at again at the earliest, whatever its decision says."""


class Reconciler:
    """One thread that hands out work to two bounded pools: deciding, and acting."""

    def __init__(
        self, attempts: Attempts, gatherer: Gatherer, chores: Chores, looks: int = 8, acts: int = 8
    ) -> None:
        self._attempts = attempts
        self._shop = attempts.shop
        self._gatherer = gatherer
        self._chores = chores
        self._stages = Stages(attempts, lambda: self._stopping.is_set())
        failed = partial(self._shop.metrics.problem, "job")
        self._looks = Jobs("decide", looks, done=self.wake, failed=failed)
        self._acts = Jobs("act", acts, done=self.wake, failed=failed)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._pace: dict[int, float] = {}
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
        try:
            self._attempts.release_idle({key for key in self._acts.running() if isinstance(key, int)})
        except RemediatorError as error:
            log.warning("leases not given back", extra=fields(reason=str(error)))

    def wake(self, incidents: Iterable[int] = ()) -> None:
        """Look now: at these incidents whatever their pace, at the others when they are due."""
        with self._lock:
            for incident in incidents:
                self._pace.pop(incident, None)
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
        now = self._shop.now()
        soonest = self._hand_out_attempts(now)
        soonest = min(soonest, self._hand_out_incidents(now))
        soonest = min(soonest, self._chores.hand_out(now))
        self.alive_at = time.monotonic()
        self._shop.metrics.last_reconcile.set(now)
        return min(max(soonest - self._shop.now(), 0.05), self._shop.timing.reconcile)

    def _hand_out_attempts(self, now: float) -> float:
        try:
            ready, soonest = self._attempts.to_work(now)
        except LeaseLostError:
            self._shop.metrics.problem("lease_lost")
            return now
        for attempt_id in ready:
            self._acts.submit(attempt_id, partial(self._stages.work, attempt_id))
        return soonest

    def _hand_out_incidents(self, now: float) -> float:
        with self._shop.store.read() as connection:
            open_now = store_incidents.to_decide(connection)
            self._shop.metrics.set_open(store_incidents.counts(connection))
            self._shop.metrics.paused.set(len(pauses(connection)))
        with self._lock:
            self._pace = {one: self._pace[one] for one in open_now if one in self._pace}
            paces = sorted((self._pace.get(one, 0.0), one) for one in open_now)
        running = self._looks.running()
        for due_at, incident_id in paces:
            if due_at > now:
                return due_at
            if incident_id not in running and not self._looks.submit(
                incident_id, partial(self._consider, incident_id)
            ):
                break  # no free thread: whoever has waited longest comes first in the next round
        return now + self._shop.timing.reconcile

    def _consider(self, incident_id: int) -> None:
        """Gather the facts of one incident, decide, keep the decision, and do what it says."""
        self._set_pace(incident_id, self._shop.now() + self._recheck())
        try:
            facts = self._gatherer.gather(incident_id)
            if facts is None:
                return
            now = self._shop.now()
            decision = decide(facts, now)
            self._keep(facts, decision, now)
            self._note_storm(facts, decision, now)
            self._perform(facts, decision, now)
        except StoreError as error:
            self._shop.metrics.problem("store")
            log.warning("database unavailable", extra=fields(incident=incident_id, reason=str(error)))

    def _keep(self, facts: Facts, decision: Decision, now: float) -> None:
        """Store the decision and what was seen, where either is news."""
        incident, probe = facts.incident, facts.probe
        seen: dict[str, object] = {}
        if probe is not None:
            passes = passes_with(facts)
            if passes != incident.passes:
                seen = {"passes": passes, "passed_at": probe.time if probe.success else None}
            if probe.reason != incident.probe_reason and not probe.success:
                seen["probe_reason"] = probe.reason
        state = facts.sites.get(incident.site) if facts.sites else None
        if incident.probe_reason is None and probe is None and state is not None and state.reason:
            seen["probe_reason"] = state.reason  # a site that is only watched is not probed while it fails
        if incident.failing_since is None and state is not None and state.failing_since:
            seen["failing_since"] = state.failing_since
            self._shop.metrics.detect.observe(max(0.0, incident.opened_at - state.failing_since))
        if not seen and decision.signature == incident.decided:
            return
        with self._shop.store.write(PATIENCE) as connection:
            if seen:
                store_incidents.change(connection, incident.id, **seen)
            news = store_incidents.keep_decision(connection, incident, decision, now)
        if news:
            self._shop.metrics.decided(decision)
            told = fields(
                site=incident.site, incident=incident.id, decision=decision.verb, reason=decision.reason,
                action=decision.action, detail=decision.detail,
            )  # fmt: skip
            log.info("decided", extra=told)

    def _perform(self, facts: Facts, decision: Decision, now: float) -> None:
        incident, timing = facts.incident, self._shop.timing
        match decision.verb:
            case Verb.ACT:
                self._claim(facts, decision)
            case Verb.LOOK:
                self._look(facts)
            case Verb.WAIT:
                until = decision.until if decision.until is not None else now + timing.recheck
                self._set_pace(incident.id, min(max(until, now + self._breath()), now + self._recheck()))
            case Verb.REFUSE:
                pass
            case Verb.OBSERVE:
                self._move(facts, State.OBSERVING, decision, now)
            case Verb.ASK:
                self._ask(facts, decision, now)
            case Verb.ESCALATE:
                self._move(facts, State.NEEDS_HUMAN, decision, now)
            case Verb.CLOSE:
                self._close(facts, decision, now)

    def _claim(self, facts: Facts, decision: Decision) -> None:
        attempt_id = self._attempts.claim(facts, decision)
        if attempt_id is not None:
            self._acts.submit(attempt_id, partial(self._stages.work, attempt_id))
        else:
            self._set_pace(facts.incident.id, self._shop.now() + NOT_BEFORE)

    def _look(self, facts: Facts) -> None:
        assert facts.target is not None
        look = self._shop.look(facts.target, self._shop.world())
        with self._shop.store.write(PATIENCE) as connection:
            store_incidents.keep_look(connection, facts.incident.id, look, self._shop.now())
        self._set_pace(facts.incident.id, 0.0)

    def _move(self, facts: Facts, state: State, decision: Decision, now: float) -> None:
        self._set_pace(facts.incident.id, now + max(self._shop.timing.idle_recheck, self._recheck()))
        if facts.incident.state is state and facts.incident.reason == decision.reason:
            return  # the usual case, without a transaction
        with self._shop.store.write(PATIENCE) as connection:
            moved = store_incidents.move(connection, facts.incident, state, decision, now)
        if moved:
            self.tell_now()

    def _ask(self, facts: Facts, decision: Decision, now: float) -> None:
        """Ask people whether a step may be done, unless the question stands already."""
        incident = facts.incident
        asked = any(one.answer is None and one.step == decision.step for one in facts.approvals)
        if asked and incident.state is State.AWAITING_APPROVAL:
            return
        assert decision.step is not None
        assert decision.action is not None
        with self._shop.store.write(PATIENCE) as connection:
            store_incidents.move(connection, incident, State.AWAITING_APPROVAL, decision, now)
            store_approvals.ask(connection, incident.id, decision.step, decision.action, decision.detail, now)
        self.tell_now()

    def _note_storm(self, facts: Facts, decision: Decision, now: float) -> None:
        """Keep it that a storm is seen; its cooldown begins when it is seen no more."""
        storm = facts.storm
        if decision.verb is not Verb.WAIT or decision.reason not in STORMS:
            return
        fresh = storm is not None and 0 <= now - storm.seen_at < self._shop.timing.storm_seen
        if fresh and storm is not None and storm.reason == decision.reason:
            return
        with self._shop.store.write(PATIENCE) as connection:
            new = note_storm(connection, decision.reason, decision.detail, now)
        if new:
            self.tell_now()

    def _close(self, facts: Facts, decision: Decision, now: float) -> None:
        incident = facts.incident
        removed = not facts.known
        outcome = Outcome.REMOVED if removed else store_incidents.outcome_of(incident)
        with self._shop.store.write(PATIENCE) as connection:
            closed = store_incidents.close(connection, incident, outcome, decision, now)
        if closed:
            self._shop.metrics.ended.labels(outcome).inc()
            if not removed:
                self._shop.metrics.recover.observe(max(0.0, now - incident.opened_at))
            told = fields(site=incident.site, incident=incident.id, outcome=outcome)
            log.info("incident closed", extra=told)
            self.tell_now()

    def _recheck(self) -> float:
        return max(self._shop.timing.recheck, len(self._pace) / LOOKS_A_SECOND)

    def _breath(self) -> float:
        return max(NOT_BEFORE, len(self._pace) / LOOKS_A_SECOND)

    def _set_pace(self, incident_id: int, due_at: float) -> None:
        with self._lock:
            self._pace[incident_id] = due_at

    def _renew(self) -> None:
        """Lengthen our leases; a job that hangs loses its own after `job_limit` seconds."""
        while not self._stopping.wait(self._shop.timing.lease_ttl / 4):
            young = self._acts.running(younger_than=self._shop.timing.job_limit)
            try:
                self._attempts.renew({key for key in young if isinstance(key, int)})
            except StoreError as error:
                self._shop.metrics.problem("store")
                log.warning("leases not renewed", extra=fields(reason=str(error)))
