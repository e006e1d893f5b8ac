"""How far we may go by ourselves: observe, approve or auto."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.guards.verdict import Allow, Ask, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.holds import Answer, Approval
from remediator.model.incident import Attempt, Mode, Reason

SAID = (Answer.APPROVED, Answer.DENIED)
CAREFUL = (Mode.OBSERVE, Mode.APPROVE, Mode.AUTO)


def mode(facts: Facts, step: Step, now: float) -> Verdict:
    """Refuse in observe mode, naming what would have been done; in approve mode ask a person."""
    how_far = stricter(facts.mode, step.mode)
    if how_far is Mode.AUTO:
        return Allow()
    if how_far is Mode.OBSERVE:
        return Refuse(Reason.OBSERVE_MODE, f"would {step.action or step.name}", numbers={"would": step.name})
    if step.action is None:
        return Allow()
    return _approved(facts, step, now)


def stricter(site: Mode, step: Mode | None) -> Mode:
    """Return how far a step may go that has a mode of its own, or has not."""
    return min((site, step or Mode.AUTO), key=CAREFUL.index)


def approved(step: str, approvals: Iterable[Approval], attempts: Iterable[Attempt], now: float) -> bool:
    """Tell whether a person's last word about a step is a yes that holds now and is not used up."""
    said = _said(step, approvals)
    return said is not None and said.answer is Answer.APPROVED and _holds(said, attempts, now)


def _approved(facts: Facts, step: Step, now: float) -> Verdict:
    said = _said(step.name, facts.approvals)
    if said is not None and said.answer is Answer.DENIED:
        detail = f"{said.answered_by} said no to {(step.action or '').replace('_', ' ')}"
        return Refuse(Reason.APPROVAL_DENIED, detail, escalate=True)
    if said is not None and _holds(said, facts.attempts, now):
        return Allow({"approved_by": said.answered_by, "approval": said.id})
    what = (step.action or "").replace("_", " ")
    why = f": {step.why}" if step.why else ""
    return Ask(Reason.APPROVAL_NEEDED, f"waits for a person to approve: {what}{why}{_spent(said, now)}")


def _said(step: str, approvals: Iterable[Approval]) -> Approval | None:
    answered = [one for one in approvals if one.step == step and one.answer in SAID]
    return answered[-1] if answered else None


def _spent(approval: Approval | None, now: float) -> str:
    """Say why it is asked again after an approval."""
    if approval is None:
        return ""
    late = approval.expires_at is not None and now >= approval.expires_at
    return " (the last approval ran out)" if late else " (the last approval is used up)"


def _holds(approval: Approval, attempts: Iterable[Attempt], now: float) -> bool:
    """Tell whether an approval is neither too old, nor of the future, nor used up by an attempt."""
    at, until = approval.answered_at, approval.expires_at
    if at is None or until is None or not at - 1.0 <= now < until:
        return False
    return not any(one.step == approval.step and one.created_at >= at for one in attempts)
