"""After a storm everything comes back at once: the last thing it needs is a wave of restarts."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def storm_cooldown(facts: Facts, _step: Step, now: float) -> Verdict:
    """Wait until `remediation.storm_cooldown` has gone since the storm was last seen."""
    storm, cooldown = facts.storm, facts.limits.storm_cooldown
    if storm is None:
        return Allow()
    ready_at = min(storm.seen_at, now) + cooldown
    if now >= ready_at:
        return Allow()
    detail = f"{now - min(storm.seen_at, now):.0f} s after a storm ({storm.reason}), {cooldown:.0f} s to wait"
    return WaitUntil(Reason.STORM_COOLDOWN, ready_at, detail, {"storm_seen_at": storm.seen_at})
