"""Give what was done time to work before doing more."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Attempt, Reason


def cooldown(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait after an attempt on the site or its container, and after any reboot or boot of its server."""
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
    powered = same_server and attempt.action in ("reboot_linode", "boot_linode")
    if attempt.finished_at is None or not (same_site or same_target or powered):
        return 0.0
    if not attempt.counts:
        return attempt.finished_at + facts.limits.abandoned_cooldown
    wait = facts.playbook.wait_after(attempt.step) if same_site else None
    return attempt.finished_at + (facts.limits.cooldown if wait is None else wait)
