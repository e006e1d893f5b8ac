"""What may have changed since an attempt was decided on, asked again before the act. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remediator.actions.action import Action, Target
from remediator.guards.paused import applies
from remediator.incident import Attempt, Look, Mode, Pause, Reason
from remediator.playbook import DEAD, REBOOT, RULES
from remediator.policy import Policy


@dataclass(frozen=True)
class Withdrawn:
    """Why an attempt is abandoned."""

    reason: str
    detail: str


def still_wanted(
    attempt: Attempt, actions: Mapping[str, Action], policy: Policy
) -> tuple[Action, Target] | Withdrawn:
    """Return the action and the target, or what an upgrade or an edit of sites.yml has taken away."""
    action = actions.get(attempt.action)
    rule = RULES.get(attempt.step)
    site = policy.sites.get(attempt.site)
    target = site.target if site else None
    if action is None or rule is None or rule.action != attempt.action:
        gone = f"this Sitemedic has no step {attempt.step!r} doing {attempt.action!r} any more"
        return Withdrawn("step_gone", gone)
    if target is None or (target.server.name, target.label) != (attempt.server, attempt.target):
        return Withdrawn("target_gone", "sites.yml names another server or container by now")
    return action, target


def before_the_act(
    attempt: Attempt, target: Target, policy: Policy, pauses: Iterable[Pause], age: float, limit: float
) -> Withdrawn | None:
    """Say what forbids the act by now; `age` seconds have gone since it was decided on, `limit` may."""
    site = policy.sites.get(attempt.site)
    if site is None or site.target != target:
        return Withdrawn("target_gone", "sites.yml was changed meanwhile; nothing was touched")
    if paused(attempt, pauses):
        return Withdrawn(Reason.PAUSED, "nothing was touched")
    if site.mode is Mode.OBSERVE:
        return Withdrawn(Reason.OBSERVE_MODE, "nothing was touched")
    if not 0 <= age <= limit:
        return Withdrawn("decided_too_long_ago", f"decided on {age:.0f} s ago; nothing was touched")
    return None


def paused(attempt: Attempt, pauses: Iterable[Pause]) -> bool:
    """Tell whether a person wants hands off the attempt's site or server."""
    return any(applies(one, attempt.site, attempt.server) for one in pauses)


def lives_after_all(attempt: Attempt, look: Look) -> Withdrawn | None:
    """Withdraw a reboot where the server lets us in by now, or says at least something."""
    if attempt.action != REBOOT or look.ssh in DEAD:
        return None
    return Withdrawn("server_answers", f"the server gives a sign of life by now (SSH: {look.ssh})")
