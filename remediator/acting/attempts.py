"""Attempts: claimed together with their server's lease, then worked stage by stage, a row before each act.

Whoever holds the lease may go on with an attempt, after a crash too: what a stage finds in the row is all
that it needs. Waiting is a row with a time (`next_at`), never a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from core.logs import fields
from remediator.clients.exporter import ExporterClient
from remediator.configuration.policy import Policy
from remediator.deciding.last_check import Withdrawn, was_approved
from remediator.errors import LeaseLostError
from remediator.metrics import Metrics
from remediator.model.action import JSON, Action, Target, World
from remediator.model.facts import Facts
from remediator.model.incident import Attempt, Decision, Stage, State
from remediator.model.seen import Look
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import Store, raise_epoch, record
from remediator.timing import Timing

log = logging.getLogger(__name__)
PATIENCE = 5.0
"""Seconds that a working thread waits for the writer; a request waits far less."""
FOUND_AGAIN = frozenset({"evidence", "passes", "next_at", "detail"})
"""What a power cut may take from an attempt's row: it is looked for anew."""


@dataclass(frozen=True)
class Workshop:
    """What an attempt is worked with; `owner` names this process among all remediators.

    `silenced` asks Alertmanager afresh whether a silence covers a site; None where that is not known.
    """

    owner: str
    store: Store
    exporter: ExporterClient
    actions: Mapping[str, Action]
    policy: Callable[[], Policy]
    world: Callable[[], World]
    look: Callable[[Target, World], Look]
    storm: Callable[[Attempt, Target], Withdrawn | None]
    silenced: Callable[[str], bool | None]
    metrics: Metrics
    timing: Timing
    now: Callable[[], float]


class Attempts:
    """Claims attempts and keeps their rows; what is done in each stage is in `stages`."""

    def __init__(self, workshop: Workshop) -> None:
        self.shop = workshop

    def claim(self, facts: Facts, decision: Decision) -> int | None:
        """Claim an attempt and its server's lease at once; None where anything changed since the facts."""
        target, incident, now = facts.target, facts.incident, self.shop.now()
        if target is None or decision.action is None or decision.step is None:
            return None
        server = target.server.name
        with self.shop.store.write(PATIENCE, lasting=False) as connection:  # nothing is done yet
            if not raise_epoch(connection, seen=facts.epoch):
                return None
            current = store_incidents.get(connection, incident.id)
            if current is None or current.closed_at is not None or current.state is not incident.state:
                return None
            fence = store_attempts.take_lease(
                connection, server, self.shop.owner, now, self.shop.timing.lease_ttl
            )
            if fence is None:
                return None
            row = _new_row(facts, decision, server, fence, now)
            attempt_id = store_attempts.add(connection, row)
            store_attempts.assign(connection, attempt_id, server)
            store_incidents.change(connection, incident.id, state=State.ATTEMPTING)
            text = f"{decision.action} on {server}: {decision.detail or decision.reason}"
            record(connection, now, "claimed", text, incident.id, attempt_id, decision.numbers)
        log.info(
            "attempt claimed", extra=fields(site=incident.site, incident=incident.id, attempt=attempt_id)
        )
        return attempt_id

    def to_work(self, now: float) -> tuple[list[int], float]:
        """Return the attempts to work on now, those left behind included, and when the next is due."""
        ready: list[int] = []
        soonest = now + self.shop.timing.reconcile
        with self.shop.store.read() as connection:
            found = store_attempts.unfinished(connection)
        for attempt, lease in found:
            ours = lease is not None and lease.owner == self.shop.owner and lease.fence == attempt.fence
            if lease is not None and lease.expires_at > now:
                if not ours:
                    continue
                if attempt.next_at <= now:
                    ready.append(attempt.id)
                else:
                    soonest = min(soonest, attempt.next_at)
            elif self._adopt(attempt, now):
                ready.append(attempt.id)
        return ready, soonest

    def renew(self, attempt_ids: set[int]) -> None:
        """Lengthen the leases of attempts that are being worked on or wait for their next look."""
        now = self.shop.now()
        with self.shop.store.read() as connection:
            found = store_attempts.unfinished(connection)
        servers = {
            one.server
            for one, lease in found
            if lease is not None
            and lease.owner == self.shop.owner
            and lease.fence == one.fence
            and (one.id in attempt_ids or one.next_at > now)
        }
        if servers:
            with self.shop.store.write(PATIENCE, lasting=False) as connection:
                ttl = self.shop.timing.lease_ttl
                store_attempts.renew(connection, self.shop.owner, servers, now, ttl)

    def release_idle(self, working: set[int]) -> None:
        """Give back, at a clean stop, the leases of attempts that nothing is being done for."""
        now = self.shop.now()
        with self.shop.store.write(PATIENCE) as connection:
            for attempt, lease in store_attempts.unfinished(connection):
                if attempt.id in working or lease is None or lease.fence != attempt.fence:
                    continue
                store_attempts.release(connection, attempt.server, self.shop.owner, attempt.fence, now)

    def save(self, attempt: Attempt, incident: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Write to an attempt under its lease, and to its incident in the same transaction."""
        lasting = not values.keys() <= FOUND_AGAIN or bool(incident)
        with self.shop.store.write(PATIENCE, lasting=lasting) as connection:
            self.save_in(connection, attempt, incident, **values)

    def was_approved_in(self, connection: Connection, attempt: Attempt) -> bool:
        """Tell whether a person had said yes to the attempt when it was decided on."""
        number, since = attempt.incident_id, attempt.created_at
        approvals = store_approvals.of_incident(connection, number)
        return was_approved(
            attempt, approvals, store_attempts.history(connection, number, attempt.site, None, since)
        )

    def save_in(
        self,
        connection: Connection,
        attempt: Attempt,
        incident: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        """Do the same inside a transaction of the caller's."""
        now, ttl = self.shop.now(), self.shop.timing.lease_ttl
        store_attempts.write(connection, attempt, self.shop.owner, now, ttl, **values)
        if incident:
            store_incidents.change(connection, attempt.incident_id, **incident)
        stage = values.get("stage")
        if stage is not None and stage is not attempt.stage:
            text = f"{attempt.action}: {stage}" + (f": {values['detail']}" if values.get("detail") else "")
            record(connection, now, str(stage), text, attempt.incident_id, attempt.id)

    def finish(
        self, attempt: Attempt, stage: Stage, reason: str | None, detail: str, permanent: bool = False
    ) -> None:
        """Write the verdict, give the lease back, and hand the incident back to the decision."""
        with self.shop.store.write(PATIENCE) as connection:
            self.finish_in(connection, attempt, stage, reason, detail, permanent)
        self.count(attempt, stage, reason, detail)

    def finish_in(
        self,
        connection: Connection,
        attempt: Attempt,
        stage: Stage,
        reason: str | None,
        detail: str,
        permanent: bool = False,
    ) -> None:
        """Do the same inside a transaction of the caller's, who counts it afterwards."""
        now = self.shop.now()
        verdict = {"stage": stage, "reason": reason, "detail": detail[:2000], "permanent": permanent}
        back = {"state": State.OPEN, "passes": 0, "passed_at": None, "decided": ""}
        self.save_in(connection, attempt, back, finished_at=now, **verdict)
        store_attempts.release(connection, attempt.server, self.shop.owner, attempt.fence, now)

    def count(self, attempt: Attempt, stage: Stage, reason: str | None, detail: str) -> None:
        """Count a verdict and log it, once it is in the database."""
        self.shop.metrics.attempts.labels(attempt.action, stage).inc()
        told = fields(
            site=attempt.site, incident=attempt.incident_id, attempt=attempt.id,
            action=attempt.action, outcome=stage, reason=reason, detail=detail,
        )  # fmt: skip
        log.log(logging.INFO if stage is Stage.SUCCEEDED else logging.WARNING, "attempt ended", extra=told)

    def _adopt(self, attempt: Attempt, now: float) -> bool:
        """Take an attempt up whose lease has run out, under a new and higher number."""
        with self.shop.store.write(PATIENCE) as connection:
            ttl = self.shop.timing.lease_ttl
            fence = store_attempts.take_lease(
                connection, attempt.server, self.shop.owner, now, ttl, attempt.id
            )
            if fence is None:
                return False
            if not store_attempts.adopt(connection, attempt, fence, now):
                raise LeaseLostError(f"attempt {attempt.id} was taken over by another remediator")
            text = f"{attempt.action}: taken up again at {attempt.stage}"
            record(connection, now, "taken_up", text, attempt.incident_id, attempt.id)
        log.warning("attempt taken up again", extra=fields(site=attempt.site, attempt=attempt.id))
        return True


def _new_row(facts: Facts, decision: Decision, server: str, fence: int, now: float) -> dict[str, JSON]:
    instance = facts.probe.instance if facts.probe is not None else ""
    return {
        "incident_id": facts.incident.id,
        "site": facts.incident.site,
        "server": server,
        "target": facts.target_key,
        "action": decision.action,
        "step": decision.step,
        "stage": Stage.PREPARED,
        "fence": fence,
        "created_at": now,
        "stage_at": now,
        "next_at": now,
        "marks": {"instance": instance},
    }
