"""What a site needs is healed first."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Sites, Step
from remediator.model.incident import Reason


def needs(facts: Facts, _step: Step, now: float) -> Verdict:
    """Wait while a site that this one needs is not healthy."""
    if not facts.needs:
        return Allow()
    states = facts.sites if facts.sites is not None else Sites()
    for name in facts.needs:
        state = states.get(name)
        if state is None or state.success is not True:
            return WaitUntil(Reason.NEED_UNHEALTHY, now + SOON, f"it needs {name}, which is not healthy")
    return Allow({"needs": len(facts.needs)})
