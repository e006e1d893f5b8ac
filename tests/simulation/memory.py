"""The remediator's database in memory: the same rows, without a database. It outlives the process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from remediator.model.holds import Answer, Approval, Storm
from remediator.model.incident import CLOSED, Attempt, Decision, Incident, Lease, Stage, State

LEASE = 60.0
FUTURE = 300.0
"""What is dated later than this when a process starts is dated anew."""


@dataclass
class Memory:
    """Rows by their ids; `decisions` keeps every decision that was news."""

    incidents: dict[int, Incident] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    decisions: dict[int, list[Decision]] = field(default_factory=dict)
    storm: Storm | None = None
    epoch: int = 0

    def open_of(self, site: str) -> Incident | None:
        """Return a site's open incident."""
        return next(
            (one for one in self.incidents.values() if one.site == site and one.state not in CLOSED), None
        )

    def open_incident(self, site: str, clock: float, alert: str) -> int:
        """Open an incident; return its id."""
        number = len(self.incidents) + 1
        self.incidents[number] = Incident(number, site, State.OPEN, clock, alert=alert)
        self.decisions[number] = []
        return number

    def change(self, incident: int, **values: Any) -> None:
        """Change an incident's row."""
        self.incidents[incident] = replace(self.incidents[incident], **values)

    def save(self, attempt: int, **values: Any) -> Attempt:
        """Change an attempt's row."""
        self.attempts[attempt] = replace(self.attempts[attempt], **values)
        return self.attempts[attempt]

    def claim(self, incident: Incident, values: dict[str, Any], epoch: int, clock: float) -> int | None:
        """Claim an attempt and its server's lease, unless anything changed since the facts were gathered."""
        if epoch != self.epoch or self.incidents[incident.id].state is not incident.state:
            return None
        server = values["server"]
        lease = self.leases.get(server)
        if lease is not None and lease.expires_at > clock:
            return None
        self.epoch += 1
        number = len(self.attempts) + 1
        fence = lease.fence + 1 if lease is not None else 1
        self.leases[server] = Lease(server, "one", fence, clock + LEASE, number)
        self.attempts[number] = Attempt(
            id=number, incident_id=incident.id, site=incident.site, stage=Stage.PREPARED, fence=fence,
            created_at=clock, stage_at=clock, **values,
        )  # fmt: skip
        self.change(incident.id, state=State.ATTEMPTING)
        return number

    def finish(self, attempt: int, stage: Stage, clock: float, **values: Any) -> None:
        """Write a verdict, give the lease back, and hand the incident back to the decision."""
        done = self.save(attempt, stage=stage, finished_at=clock, **values)
        lease = self.leases[done.server]
        self.leases[done.server] = replace(lease, expires_at=clock, attempt_id=None)
        self.change(done.incident_id, state=State.OPEN, passes=0, passed_at=None, decided="")

    def lengthen(self, server: str, until: float) -> None:
        """Renew a lease."""
        self.leases[server] = replace(self.leases[server], expires_at=until)

    def take_over(self, attempt: Attempt, clock: float) -> bool:
        """Take an attempt up whose lease has run out; tell whether it had."""
        lease = self.leases[attempt.server]
        if lease.expires_at > clock:
            return False
        fence = lease.fence + 1
        self.leases[attempt.server] = Lease(attempt.server, "one", fence, clock + LEASE, attempt.id)
        self.save(attempt.id, fence=fence)
        return True

    def unfinished(self) -> list[Attempt]:
        """Return the attempts without a verdict."""
        return [one for one in self.attempts.values() if not one.finished]

    def history(self, incident: Incident, server: str | None, since: float) -> tuple[Attempt, ...]:
        """Return this incident's attempts, and those since a time on its site or server, oldest first."""
        return tuple(
            one
            for one in self.attempts.values()
            if one.incident_id == incident.id
            or (
                (one.site == incident.site or one.server == server)
                and (one.created_at >= since or (one.finished_at or 0.0) >= since)
            )
        )

    def ask(self, incident: int, decision: Decision, clock: float) -> int | None:
        """Store a question unless the same one is open; return its id where it is new."""
        for one in self.approvals.values():
            if one.incident_id == incident and one.step == decision.step and one.answer is None:
                return None
        number = len(self.approvals) + 1
        self.approvals[number] = Approval(
            number, incident, decision.step or "", decision.action or "", decision.detail, clock
        )
        return number

    def answer(self, question: int, said: Answer, clock: float, lasts: float) -> bool:
        """Keep a person's answer; tell whether the question was still open."""
        found = self.approvals[question]
        if found.answer is not None or self.incidents[found.incident_id].state is not State.AWAITING_APPROVAL:
            return False
        self.epoch += 1
        self.approvals[question] = replace(
            found, answer=said, answered_by="Ada", answered_at=clock, expires_at=clock + lasts
        )
        return True

    def note_storm(self, reason: str, clock: float) -> None:
        """Note that a storm is seen."""
        since = self.storm.since if self.storm is not None else clock
        self.storm = Storm(since, clock, reason)

    def bring_back(self, clock: float) -> None:
        """Date what is dated far ahead as of now, as every start does."""
        names = ("created_at", "stage_at", "next_at", "acted_at", "finished_at")
        for number, one in self.attempts.items():
            late = {name: clock for name in names if (getattr(one, name) or 0.0) > clock + FUTURE}
            if late:
                self.save(number, **late)
        for server, lease in self.leases.items():
            if lease.expires_at > clock + FUTURE + LEASE:
                self.leases[server] = replace(lease, expires_at=clock + LEASE)
        if self.storm is not None and self.storm.seen_at > clock + FUTURE:
            self.storm = replace(self.storm, seen_at=clock)
