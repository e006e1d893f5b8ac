"""A rolling budget of attempts, per site and container, and of reboots per server."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.incident import Attempt, Reason


def attempt_budget(facts: Facts, step: Step, now: float) -> Verdict:
    """Refuse, and ask a human, once the budget of the last `per` seconds is used up."""
    if step.action is None:
        return Allow()
    limits = facts.limits
    server = facts.target.server.name if facts.target else None
    recent = [one for one in facts.history if one.counts and _made(one) > now - limits.per]
    on_site = sum(
        one.site == facts.incident.site or (one.server == server and one.target == facts.target_key)
        for one in recent
    )
    reboots = sum(one.server == server and one.action == "reboot_linode" for one in recent)
    numbers = {
        "attempts": on_site,
        "server_reboots": reboots,
        "budget": limits.attempts,
        "per_seconds": limits.per,
    }
    if on_site >= limits.attempts:
        detail = f"{on_site} attempts in the last {limits.per:.0f} s, {limits.attempts} allowed"
        return Refuse(Reason.ATTEMPT_BUDGET, detail, escalate=True, numbers=numbers)
    if step.reboots and reboots >= limits.attempts:
        detail = f"{server} was rebooted {reboots} times in the last {limits.per:.0f} s"
        return Refuse(Reason.ATTEMPT_BUDGET, detail, escalate=True, numbers=numbers)
    return Allow(numbers)


def _made(attempt: Attempt) -> float:
    """Return when it was made: what was done counts from when it was done, which may be a minute later."""
    return max(attempt.created_at, attempt.acted_at or 0.0)
