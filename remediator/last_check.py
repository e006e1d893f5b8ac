"""What may have changed since an attempt was decided on, asked again before the act. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from remediator.actions.action import Action, Target
from remediator.findings import DEAD, read, sentence, symptom
from remediator.guards.mode import approved, stricter
from remediator.guards.paused import applies
from remediator.holds import Approval, Pause
from remediator.incident import Attempt, Kind, Mode, Reason, kind_of
from remediator.playbook import POWER, hindrance
from remediator.policy import Policy
from remediator.seen import Look, Probe


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
    site = policy.sites.get(attempt.site)
    if site is None or site.target is None or not _same_place(site.target, attempt):
        return Withdrawn("target_gone", "sites.yml names another server or container by now")
    planned = site.playbook.step(attempt.step)
    if action is None or planned is None or planned.action != attempt.action:
        gone = f"playbook {site.playbook.name} has no step {attempt.step!r} doing {attempt.action!r} any more"
        return Withdrawn("step_gone", gone)
    return action, replace(site.target, hook=planned.hook)


def _same_place(target: Target, attempt: Attempt) -> bool:
    return (target.server.name, target.label) == (attempt.server, attempt.target)


def before_the_act(
    attempt: Attempt,
    target: Target,
    policy: Policy,
    pauses: Iterable[Pause],
    age: float,
    limit: float,
    *,
    yes: bool,
) -> Withdrawn | None:
    """Say what forbids the act by now; `age` seconds have gone since it was decided on, `limit` may.

    `yes`: a person said so to this attempt (`was_approved`).
    """
    site = policy.sites.get(attempt.site)
    if site is None or site.target != replace(target, hook=None, instance=""):
        return Withdrawn("target_gone", "sites.yml was changed meanwhile; nothing was touched")
    if paused(attempt, pauses):
        return Withdrawn(Reason.PAUSED, "nothing was touched")
    planned = site.playbook.step(attempt.step)
    how_far = stricter(site.mode, planned.mode if planned else None)
    if how_far is Mode.OBSERVE:
        return Withdrawn(Reason.OBSERVE_MODE, "nothing was touched")
    if how_far is Mode.APPROVE and not yes:
        return Withdrawn(Reason.APPROVAL_NEEDED, "a person must approve it by now; nothing was touched")
    if not 0 <= age <= limit:
        return Withdrawn("decided_too_long_ago", f"decided on {age:.0f} s ago; nothing was touched")
    return None


def was_approved(attempt: Attempt, approvals: Iterable[Approval], attempts: Iterable[Attempt]) -> bool:
    """Tell whether a person had said yes to this very attempt when it was decided on."""
    others = (one for one in attempts if one.incident_id == attempt.incident_id and one.id != attempt.id)
    return approved(attempt.step, approvals, others, attempt.created_at)


def paused(attempt: Attempt, pauses: Iterable[Pause]) -> bool:
    """Tell whether a person wants hands off the attempt's site or server."""
    return any(applies(one, attempt.site, attempt.server) for one in pauses)


def other_outage(attempt: Attempt, probe: Probe, policy: Policy) -> Withdrawn | None:
    """Withdraw a step that the playbook does not have for the outage as it looks by now."""
    site, kind = policy.sites.get(attempt.site), kind_of(probe.reason)
    if site is None or any(one.name == attempt.step for one in site.playbook.steps(kind)):
        return None
    return Withdrawn("other_outage", f"by now it is {symptom(probe)}; nothing was touched")


def by_the_look(attempt: Attempt, kind: Kind, look: Look, target: Target) -> Withdrawn | None:
    """Withdraw an attempt that cannot help, or must not be made, by what a look has found."""
    found, lives = read(look), lives_after_all(attempt, look)
    stop = hindrance(attempt.action, kind, found, target.server)
    if lives is not None or stop is None:
        return lives
    return Withdrawn(stop.reason, f"{sentence(found)}: {stop.detail}")


def lives_after_all(attempt: Attempt, look: Look) -> Withdrawn | None:
    """Withdraw a reboot or boot where the server lets us in by now, or says at least something."""
    if attempt.action not in POWER or look.ssh in DEAD:
        return None
    return Withdrawn("server_answers", f"the server gives a sign of life by now (SSH: {look.ssh})")
