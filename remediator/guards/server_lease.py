"""One attempt per server at a time."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def server_lease(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait while somebody holds the server, or has left an attempt behind that nobody has taken up yet."""
    lease = facts.lease
    if step.action is None or lease is None:
        return Allow()
    left = next((one for one in facts.history if one.server == lease.server and not one.finished), None)
    if lease.expires_at <= now and left is not None:
        detail = f"{left.action} for {left.site} was left behind"
        return WaitUntil(Reason.SERVER_BUSY, now + SOON, detail, {"attempt": left.id})
    if lease.expires_at <= now:
        return Allow()
    numbers = {"expires_at": lease.expires_at, "attempt": lease.attempt_id}
    return WaitUntil(Reason.SERVER_BUSY, now + SOON, f"{lease.server} is being worked on", numbers)
