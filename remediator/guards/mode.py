"""In observe mode we watch and tell, and touch nothing."""

from __future__ import annotations

from remediator.facts import Facts, Step
from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.incident import Mode, Reason


def mode(facts: Facts, step: Step, _now: float) -> Verdict:
    """Refuse in observe mode, naming what would have been done."""
    if facts.mode is Mode.AUTO:
        return Allow()
    return Refuse(Reason.OBSERVE_MODE, f"would {step.action or step.name}", numbers={"would": step.name})
