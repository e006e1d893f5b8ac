"""What is done in each stage of an attempt. Every stage can be entered again after a crash."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from core.logs import fields
from core.servers.kept import KeptConnections
from core.servers.server import ActionError
from core.servers.server import Reason as ActionReason
from remediator.acting.attempts import PATIENCE, Attempts, Workshop
from remediator.acting.in_time import in_time
from remediator.acting.said import forbidden, let_go
from remediator.deciding.last_check import Withdrawn, by_the_look, other_outage, paused, still_wanted
from remediator.errors import ExporterError, LeaseLostError, SiteUnknownError, StoreError
from remediator.model.action import Action, Marks, Progress, Target, World
from remediator.model.findings import read, sentence, symptom
from remediator.model.incident import (
    Attempt,
    Decision,
    Incident,
    Outcome,
    Reason,
    Stage,
    State,
    Verb,
    kind_of,
)
from remediator.model.seen import Look, Probe
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import pauses

log = logging.getLogger(__name__)
LOOK_STAYS_TRUE = 15.0
"""Seconds; a second look at a dead server would take its whole SSH timeout again."""
SOON = 1.0
"""Seconds until a stage that could not go on is entered again."""


class Stages:
    """Works one attempt as far as it goes now."""

    def __init__(self, attempts: Attempts, stopping: Callable[[], bool] = lambda: False) -> None:
        self._attempts = attempts
        self._stopping = stopping
        self._shop: Workshop = attempts.shop
        self._stages: dict[Stage, Callable[[Attempt], None]] = {
            Stage.PREPARED: self._prepared,
            Stage.ACTING: self._acting,
            Stage.SETTLING: self._settling,
            Stage.VERIFYING: self._verifying,
        }

    def work(self, attempt_id: int) -> None:
        """Enter stage after stage until the attempt waits or has its verdict; never raises for trouble."""
        try:
            while not self._stopping():
                with self._shop.store.read() as connection:
                    attempt = store_attempts.get(connection, attempt_id)
                if attempt is None or attempt.finished or attempt.next_at > self._shop.now():
                    return
                self._stages[attempt.stage](attempt)
        except LeaseLostError as error:
            self._shop.metrics.problem("lease_lost")
            log.warning("lease lost", extra=fields(attempt=attempt_id, reason=str(error)))
        except StoreError as error:
            self._shop.metrics.problem("store")
            log.warning("database unavailable", extra=fields(attempt=attempt_id, reason=str(error)))

    def _prepared(self, attempt: Attempt) -> None:
        found = self._usable(attempt)
        if found is None:
            return
        action, target = found
        with KeptConnections(self._shop.world().connect) as kept:
            world = replace(self._shop.world(), connect=kept.connect)
            look = self._looked(attempt, target, world)
            if look is None:
                return
            try:
                marks = action.prepare(target, world)
            except ActionError as error:
                self._attempts.finish(attempt, Stage.FAILED, error.reason, error.message, error.permanent)
                return
            written_at = self._write_acting(attempt, target, marks, look)
            if written_at is not None:
                self._act(
                    attempt, action, target, marks, in_time(world, written_at, self._shop.timing.send_within)
                )

    def _looked(self, attempt: Attempt, target: Target, world: World) -> Look | None:
        """Keep the evidence of a look; abandon the attempt, and return None, where it forbids the step.

        The look is the one that the attempt was decided on, where that is still true enough to be evidence.
        """
        with self._shop.store.read() as connection:
            incident = store_incidents.get(connection, attempt.incident_id)
        look = incident.look if incident is not None else None
        if look is None or self._shop.now() - look.time > LOOK_STAYS_TRUE:
            instance = str(attempt.marks.get("instance", ""))
            look = self._shop.look(replace(target, instance=instance), world)
        self._attempts.save(attempt, evidence=dict(look.evidence))
        kind = kind_of(incident.probe_reason if incident is not None else None)
        withdrawn = by_the_look(attempt, kind, look, target)
        if withdrawn is None:
            return look
        with self._shop.store.write(PATIENCE) as connection:
            store_incidents.keep_look(connection, attempt.incident_id, look, self._shop.now())
            why = (withdrawn.reason, withdrawn.detail)
            self._attempts.finish_in(connection, attempt, Stage.ABANDONED, *why)
        self._attempts.count(attempt, Stage.ABANDONED, *why)
        return None

    def _acting(self, attempt: Attempt) -> None:
        """Find out whether an act of unknown outcome happened: after a crash, or a lost connection.

        It never acts again: what has not happened goes back to the decision, with all its guards.
        """
        found = self._usable(attempt)
        if found is None:
            return
        action, target = found
        wait = attempt.stage_at + self._shop.timing.ask_happened_after - self._shop.now()
        if wait > 0:
            self._attempts.save(attempt, next_at=self._shop.now() + wait)
            return
        try:
            happened = action.happened(target, attempt.marks, self._shop.world())
        except ActionError as error:
            happened = None
            detail = error.message
        else:
            detail = "it cannot be told whether it happened"
        if happened is True:
            self._to_settling(attempt, attempt.marks, "it had happened already")
        elif happened is False and attempt.reason == ActionReason.UNKNOWN:
            self._attempts.finish(attempt, Stage.FAILED, ActionReason.UNKNOWN, "it did not happen")
        elif happened is False:
            self._attempts.save(attempt, acted_at=None)
            self._abandon(attempt, Withdrawn("interrupted", "interrupted before the act"))
        else:
            self._wait_or_fail(attempt, ActionReason.UNKNOWN, detail, self._shop.timing.recheck)

    def _act(self, attempt: Attempt, action: Action, target: Target, marks: Marks, world: World) -> None:
        """Do it, once; the row says so already."""
        try:
            marks = action.act(target, marks, world)
        except ActionError as error:
            if error.reason in (ActionReason.UNKNOWN, ActionReason.TIMEOUT):
                later = self._shop.now() + self._shop.timing.ask_happened_after
                self._attempts.save(attempt, reason=ActionReason.UNKNOWN, detail=error.message, next_at=later)
            else:
                self._attempts.finish(attempt, Stage.FAILED, error.reason, error.message, error.permanent)
            return
        self._to_settling(attempt, marks, "")

    def _write_acting(self, attempt: Attempt, target: Target, marks: Marks, look: Look) -> float | None:
        """Write the stage on a probe that fails now; return when, or None where something forbids the act."""
        stormy = self._shop.storm(attempt, target)  # before the probe, which must be the freshest
        probe = self._probe(attempt, self._shop.timing.prepare_within)
        if probe is None:
            return None
        if probe.success:
            self._abandon(attempt, Withdrawn(Reason.PASSING, "a fresh probe passes by now"))
            return None
        silenced = self._shop.silenced(attempt.site)  # after the probe, which may take its whole timeout
        if self._stopping():
            return None
        now = self._shop.now()
        with self._shop.store.write(PATIENCE) as connection:
            withdrawn = forbidden(self._attempts, connection, attempt, target, silenced, now)
            withdrawn = withdrawn or stormy or other_outage(attempt, probe, self._shop.policy())
            if withdrawn is None:
                self._attempts.save_in(
                    connection,
                    attempt,
                    stage=Stage.ACTING,
                    stage_at=now,
                    acted_at=now,
                    marks={**marks, "acting_at": now},
                    evidence={**look.evidence, "probe": dict(probe.raw)},
                    detail=f"{symptom(probe)}; {sentence(read(look))}",
                )
        if withdrawn is not None:
            self._abandon(attempt, withdrawn)
            return None
        return now

    def _to_settling(self, attempt: Attempt, marks: Marks, detail: str) -> None:
        now = self._shop.now()
        self._attempts.save(
            attempt, stage=Stage.SETTLING, stage_at=now, next_at=now, marks=dict(marks), detail=detail,
            reason=None,
        )  # fmt: skip

    def _settling(self, attempt: Attempt) -> None:
        found = self._usable(attempt)
        if found is None:
            return
        action, target = found
        now = self._shop.now()
        with self._shop.store.read() as connection:
            hands_off = paused(attempt, pauses(connection))
        if hands_off:  # to settle may mean to start a container
            self._wait_or_fail(attempt, ActionReason.TIMEOUT, "paused before it had settled", SOON)
            return
        try:
            within = 3 * self._shop.timing.send_within
            allowed = partial(let_go, self._attempts, attempt, target)
            step = action.settle(target, attempt.marks, in_time(self._shop.world(), now, within, allowed))
        except ActionError as error:
            if error.permanent:
                self._attempts.finish(attempt, Stage.FAILED, error.reason, error.message, permanent=True)
            else:
                wait = max(error.retry_after, SOON)
                self._wait_or_fail(attempt, error.reason, error.message, wait)
            return
        if step.progress is Progress.DONE:
            verifying = {"stage": Stage.VERIFYING, "stage_at": now, "next_at": now, "detail": step.detail}
            self._attempts.save(attempt, {"state": State.VERIFYING}, **verifying)
        elif step.progress is Progress.FAILED:
            self._attempts.finish(attempt, Stage.FAILED, step.reason, step.detail)
        else:
            wait = max(step.retry_after, 0.05)
            self._wait_or_fail(attempt, ActionReason.TIMEOUT, step.detail, wait)

    def _verifying(self, attempt: Attempt) -> None:
        within = self._shop.policy().limits.prove_within
        probe = self._probe(attempt, within + self._shop.timing.settle_within)
        if probe is None:
            return
        now = self._shop.now()
        passes = attempt.passes + 1 if probe.success else 0
        if passes >= self._shop.timing.passes:
            self._succeed(attempt, passes)
        elif passes == 0 and now - attempt.stage_at >= within:
            detail = f"{probe.reason}: {probe.detail}" if probe.detail else str(probe.reason)
            self._attempts.finish(attempt, Stage.FAILED, "not_proved", detail)
        else:
            self._attempts.save(attempt, passes=passes, next_at=now + self._shop.timing.probe_spacing)

    def _succeed(self, attempt: Attempt, passes: int) -> None:
        detail = f"{passes} fresh probes in a row pass"
        proved = Decision(Verb.CLOSE, Reason.PROVED, detail)
        with self._shop.store.write(PATIENCE) as connection:
            self._attempts.finish_in(connection, attempt, Stage.SUCCEEDED, None, detail)
            incident = store_incidents.get(connection, attempt.incident_id)
            if incident is not None:
                now = self._shop.now()
                store_incidents.close(connection, incident, Outcome.HEALED, proved, now)
        self._attempts.count(attempt, Stage.SUCCEEDED, None, detail)
        if incident is not None:
            self._count_healed(incident)

    def _count_healed(self, incident: Incident) -> None:
        metrics = self._shop.metrics
        metrics.ended.labels(Outcome.HEALED).inc()
        metrics.recover.observe(max(0.0, self._shop.now() - incident.opened_at))
        metrics.decisions.labels(Verb.CLOSE, Reason.PROVED).inc()

    def _usable(self, attempt: Attempt) -> tuple[Action, Target] | None:
        """Return the action and the target, or abandon what an upgrade or an edit has taken away."""
        found = still_wanted(attempt, self._shop.actions, self._shop.policy())
        if isinstance(found, Withdrawn):
            self._abandon(attempt, found)
            return None
        return found

    def _abandon(self, attempt: Attempt, why: Withdrawn) -> None:
        self._attempts.finish(attempt, Stage.ABANDONED, why.reason, why.detail)

    def _probe(self, attempt: Attempt, within: float) -> Probe | None:
        """Probe now; without an answer put it off, and give up once `within` seconds are over."""
        try:
            return self._shop.exporter.probe(attempt.site)
        except SiteUnknownError as error:
            self._attempts.finish(attempt, Stage.ABANDONED, Reason.SITE_REMOVED, str(error))
        except ExporterError as error:
            self._shop.metrics.problem("exporter")
            now = self._shop.now()
            if now - attempt.stage_at > within:
                self._attempts.finish(attempt, Stage.ABANDONED, Reason.NO_FRESH_PROBE, str(error))
            else:
                self._attempts.save(attempt, next_at=now + SOON, detail=str(error))
        return None

    def _wait_or_fail(self, attempt: Attempt, reason: ActionReason, detail: str, wait: float) -> None:
        now = self._shop.now()
        if now - attempt.stage_at > self._shop.timing.settle_within:
            permanent = attempt.stage is Stage.ACTING
            self._attempts.finish(attempt, Stage.FAILED, reason, detail, permanent)
        else:
            self._attempts.save(attempt, next_at=now + wait, detail=detail)
