"""What may have changed since an attempt was decided on, asked again before the act. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from remediator.configuration.policy import Policy
from remediator.deciding.playbook import POWER, hindrance
from remediator.guards import GUARDS
from remediator.guards.mode import approved, stricter
from remediator.guards.paused import applies
from remediator.guards.verdict import Refuse, WaitUntil
from remediator.model.action import Action, Target
from remediator.model.facts import Facts, Step
from remediator.model.findings import DEAD, read, sentence, symptom
from remediator.model.holds import Approval, Maintenance, Pause
from remediator.model.incident import Attempt, Incident, Kind, Mode, Reason, State, kind_of
from remediator.model.seen import Look, Probe

PEOPLES = ("paused", "maintenance", "silence")
"""The guards by which people keep hands off; how far a site's mode lets us go is asked beside them."""


@dataclass(frozen=True)
class Withdrawn:
    """Why an attempt is abandoned."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Said:
    """What people say of an attempt's site by now; `silenced` None: it could not be found out."""

    pauses: tuple[Pause, ...] = ()
    maintenance: Maintenance | None = None
    silenced: bool | None = False


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
    said: Said,
    now: float,
    limit: float,
    *,
    yes: bool,
) -> Withdrawn | None:
    """Say what forbids the act by now; `limit` seconds may have gone since it was decided on.

    `yes`: a person said so to this attempt (`was_approved`).
    """
    site = policy.sites.get(attempt.site)
    if site is None or site.target != replace(target, hook=None, instance=""):
        return Withdrawn("target_gone", "sites.yml was changed meanwhile; nothing was touched")
    held, age = hands_off(attempt, target, policy, said, now, yes=yes), now - attempt.created_at
    if held is not None:
        return replace(held, detail=f"{held.detail}; nothing was touched")
    if not 0 <= age <= limit:
        return Withdrawn("decided_too_long_ago", f"decided on {age:.0f} s ago; nothing was touched")
    return None


def hands_off(
    attempt: Attempt, target: Target, policy: Policy, said: Said, now: float, *, yes: bool
) -> Withdrawn | None:
    """Say by what people keep hands off the attempt's site now, with the guards that it was decided by."""
    incident = Incident(attempt.incident_id, attempt.site, State.ATTEMPTING, attempt.created_at)
    facts = Facts(
        incident, target=target, pauses=said.pauses, maintenance=said.maintenance, silenced=said.silenced
    )
    for name in PEOPLES:
        verdict = GUARDS[name](facts, Step(attempt.step, attempt.action), now)
        if isinstance(verdict, Refuse | WaitUntil):
            return Withdrawn(verdict.reason, verdict.detail)
    return _by_mode(attempt, policy, yes)


def _by_mode(attempt: Attempt, policy: Policy, yes: bool) -> Withdrawn | None:
    site = policy.sites.get(attempt.site)
    planned = site.playbook.step(attempt.step) if site else None
    how_far = stricter(site.mode if site else Mode.OBSERVE, planned.mode if planned else None)
    if how_far is Mode.OBSERVE:
        return Withdrawn(Reason.OBSERVE_MODE, "sites.yml says observe by now")
    if how_far is Mode.APPROVE and not yes:
        return Withdrawn(Reason.APPROVAL_NEEDED, "a person must approve it by now")
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
