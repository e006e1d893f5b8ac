"""A remediator that has just begun sees a world that may still be coming up itself."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def start_up(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait with the first act until the remediator has run for a little while."""
    if step.action is None:
        return Allow()
    ready_at = facts.started_at + facts.limits.start_grace
    if now >= ready_at:
        return Allow()
    detail = f"Sitemedic was started {max(0.0, now - facts.started_at):.0f} s ago"
    return WaitUntil(Reason.START_UP, min(ready_at, now + SOON), detail, {"grace": facts.limits.start_grace})
