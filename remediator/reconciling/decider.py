"""Looks at one incident: gathers its facts, decides, keeps the decision, and does what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.logs import fields
from remediator.acting.attempts import PATIENCE, Attempts
from remediator.deciding.decide import counts_anew, decide, passes_with
from remediator.deciding.gather import Gatherer
from remediator.errors import StoreError
from remediator.model.facts import Facts
from remediator.model.incident import Decision, Outcome, State, Verb
from remediator.reconciling.agenda import Agenda
from remediator.store import approvals as store_approvals
from remediator.store import incidents as store_incidents
from remediator.store.storm import note_storm

log = logging.getLogger(__name__)
LOOKS_A_SECOND = 50
"""With thousands of open incidents each is looked at more rarely, so that new ones find time and CPU."""
LOOKED_AT_AGAIN = frozenset({State.NEEDS_HUMAN, State.AWAITING_APPROVAL})
"""Where another look at the server is no news: it comes round every few minutes, for days perhaps."""
NOT_BEFORE = 0.2
"""Seconds until an incident is looked at again at the earliest, whatever its decision says."""


class Decider:
    """Works on one incident at a time; for many threads. `begin` works on an attempt, `tell_now` tells."""

    def __init__(
        self,
        attempts: Attempts,
        gatherer: Gatherer,
        agenda: Agenda,
        begin: Callable[[int], None],
        tell_now: Callable[[], None],
    ) -> None:
        self._attempts = attempts
        self._shop = attempts.shop
        self._gatherer = gatherer
        self._agenda = agenda
        self._begin = begin
        self._tell_now = tell_now

    def consider(self, incident_id: int) -> None:
        """Gather the facts of one incident, decide, keep the decision, and do what it says."""
        self._agenda.put(incident_id, self._shop.now() + self._recheck())
        try:
            facts = self._gatherer.gather(incident_id)
            if facts is None:
                self._agenda.drop(incident_id)
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
            if passes != incident.passes or counts_anew(facts):
                seen = {"passes": passes, "passed_at": probe.time if probe.success else None}
            if probe.reason != incident.probe_reason and not probe.success:
                seen["probe_reason"] = probe.reason
        state = facts.sites.get(incident.site) if facts.sites else None
        if incident.probe_reason is None and probe is None and state is not None and state.reason:
            seen["probe_reason"] = state.reason  # a site that is only watched is not probed while it fails
        if incident.failing_since is None and state is not None and state.failing_since:
            seen["failing_since"] = state.failing_since
            self._shop.metrics.detect.observe(max(0.0, incident.opened_at - state.failing_since))
        again = decision.verb is Verb.LOOK and incident.state in LOOKED_AT_AGAIN
        if not seen and (again or decision.signature == incident.decided):
            return
        with self._shop.store.write(PATIENCE, lasting=False) as connection:
            if seen:
                store_incidents.change(connection, incident.id, **seen)
            news = not again and store_incidents.keep_decision(connection, incident, decision, now)
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
                self._agenda.put(incident.id, min(max(until, now + self._breath()), now + self._recheck()))
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
            self._agenda.drop(facts.incident.id)
            self._begin(attempt_id)
        else:
            self._agenda.put(facts.incident.id, self._shop.now() + NOT_BEFORE)

    def _look(self, facts: Facts) -> None:
        assert facts.target is not None
        assert facts.probe is not None
        look = self._shop.look(replace(facts.target, instance=facts.probe.instance), self._shop.world())
        look = replace(look, evidence={**look.evidence, "probe": dict(facts.probe.raw)})
        with self._shop.store.write(PATIENCE, lasting=False) as connection:
            store_incidents.keep_look(connection, facts.incident.id, look, self._shop.now())
        self._agenda.put(facts.incident.id, 0.0)

    def _move(self, facts: Facts, state: State, decision: Decision, now: float) -> None:
        self._agenda.put(facts.incident.id, now + max(self._shop.timing.idle_recheck, self._recheck()))
        if facts.incident.state is state and facts.incident.reason == decision.reason:
            return  # the usual case, without a transaction
        with self._shop.store.write(PATIENCE) as connection:
            moved = store_incidents.move(connection, facts.incident, state, decision, now)
        if moved:
            self._tell_now()

    def _ask(self, facts: Facts, decision: Decision, now: float) -> None:
        """Ask people whether a step may be done, unless the question stands already."""
        incident = facts.incident
        asked = any(one.answer is None and one.step == decision.step for one in facts.approvals)
        if asked and incident.state is State.AWAITING_APPROVAL:
            return
        assert decision.step is not None
        assert decision.action is not None
        with self._shop.store.write(PATIENCE) as connection:
            values = {"reason": decision.reason, "detail": decision.detail[:2000]}
            store_incidents.change(connection, incident.id, state=State.AWAITING_APPROVAL, **values)
            store_approvals.ask(connection, incident.id, decision.step, decision.action, decision.detail, now)
        self._tell_now()

    def _note_storm(self, facts: Facts, decision: Decision, now: float) -> None:
        """Keep it that a storm is seen; its cooldown begins when it is seen no more."""
        last = facts.storm
        if decision.storm is None:
            return
        reason, detail = decision.storm
        if last is not None and 0 <= now - last.seen_at < self._shop.timing.storm_seen:
            return
        with self._shop.store.write(PATIENCE) as connection:
            new = note_storm(connection, reason, detail, now)
        if new:
            self._tell_now()

    def _close(self, facts: Facts, decision: Decision, now: float) -> None:
        incident = facts.incident
        removed = not facts.known
        outcome = Outcome.REMOVED if removed else store_incidents.outcome_of(incident)
        with self._shop.store.write(PATIENCE, lasting=False) as connection:
            late = None if removed else store_incidents.late_of(connection, incident)
            if late is not None:
                outcome = Outcome.ALREADY_OVER
                why = (
                    f"its alert came late, of what had ended with incident {late}: no probe has failed since"
                )
                decision = replace(decision, detail=f"{decision.detail}; {why}")
            closed = store_incidents.close(connection, incident, outcome, decision, now)
        self._agenda.drop(incident.id)
        if closed:
            self._shop.metrics.ended.labels(outcome).inc()
            if outcome not in (Outcome.REMOVED, Outcome.NOT_DOWN, Outcome.ALREADY_OVER):
                self._shop.metrics.recover.observe(max(0.0, now - incident.opened_at))
            told = fields(site=incident.site, incident=incident.id, outcome=outcome)
            log.info("incident closed", extra=told)
            self._tell_now()

    def _recheck(self) -> float:
        return max(self._shop.timing.recheck, len(self._agenda) / LOOKS_A_SECOND)

    def _breath(self) -> float:
        return max(NOT_BEFORE, len(self._agenda) / LOOKS_A_SECOND)
