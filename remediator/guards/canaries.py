"""Is it us? Where every canary fails, our own network is the likelier culprit."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Refuse, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def canaries(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait while no canary answers; a reboot needs one that does."""
    if facts.canaries is None:
        return WaitUntil(Reason.CANARIES_FAIL, now + SOON, "the exporter could not be asked for its canaries")
    answering = sum(one.success for one in facts.canaries)
    numbers = {"canaries": len(facts.canaries), "canaries_answering": answering}
    if not facts.canaries:
        if step.reboots:
            detail = "a reboot needs a canary that answers: list one under canaries: in sites.yml"
            return Refuse(Reason.NO_CANARIES, detail, escalate=True, numbers=numbers)
        return Allow(numbers)
    if answering == 0:
        return WaitUntil(
            Reason.CANARIES_FAIL, now + SOON, "no canary answers: is it our own network?", numbers
        )
    return Allow(numbers)
