"""No server is rebooted under a healthy site."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Refuse, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def neighbours(facts: Facts, step: Step, now: float) -> Verdict:
    """Refuse a reboot while a fresh probe of another site on the server passes."""
    if not step.reboots:
        return Allow()
    if facts.neighbours is None:
        return WaitUntil(
            Reason.NO_FRESH_PROBE, now + SOON, "the other sites of the server are not probed yet"
        )
    healthy = sorted(one.site for one in facts.neighbours if one.success)
    numbers = {"neighbours": len(facts.neighbours), "healthy_neighbours": len(healthy)}
    if healthy:
        detail = f"{healthy[0]} on the same server is healthy"
        return Refuse(Reason.HEALTHY_NEIGHBOUR, detail, escalate=True, numbers=numbers)
    return Allow(numbers)
