"""One attempt per server at a time."""

from __future__ import annotations

from remediator.facts import Facts, Step
from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.incident import Reason


def server_lease(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait while somebody holds the server."""
    lease = facts.lease
    if step.action is None or lease is None or lease.expires_at <= now:
        return Allow()
    numbers = {"expires_at": lease.expires_at, "attempt": lease.attempt_id}
    return WaitUntil(Reason.SERVER_BUSY, now + SOON, f"{lease.server} is being worked on", numbers)
