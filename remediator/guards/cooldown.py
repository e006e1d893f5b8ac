"""Give what was done time to work before doing more."""

from __future__ import annotations

from remediator.facts import Facts, Step
from remediator.guards.verdict import Allow, Verdict, WaitUntil
from remediator.incident import Attempt, Reason


def cooldown(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait after an attempt on the site or its container, and after any reboot of its server."""
    if step.action is None:
        return Allow()
    ready_at = max((_ready_at(one, facts) for one in facts.history), default=0.0)
    if ready_at > now:
        return WaitUntil(
            Reason.COOLDOWN, ready_at, f"{ready_at - now:.0f} s of cooldown left", {"ready_at": ready_at}
        )
    return Allow()


def _ready_at(attempt: Attempt, facts: Facts) -> float:
    same_site = attempt.site == facts.incident.site
    same_server = facts.target is not None and attempt.server == facts.target.server.name
    same_target = same_server and attempt.target == facts.target_key
    rebooted = same_server and attempt.action == "reboot_linode"
    if attempt.finished_at is None or not (same_site or same_target or rebooted):
        return 0.0
    return attempt.finished_at + (
        facts.limits.cooldown if attempt.counts else facts.limits.abandoned_cooldown
    )
