"""Our own host is never rebooted, our own containers are never restarted."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Refuse, Verdict, WaitUntil
from remediator.model.facts import Facts, Step, Untold
from remediator.model.incident import Reason

OWN_PROJECT = "sitemedic"


def own_host(facts: Facts, step: Step, now: float) -> Verdict:
    """Refuse to touch what the remediator itself runs on, and a reboot where that cannot be told."""
    found, ours = facts.target, facts.own_server
    if found is None or step.action is None:
        return Allow()
    if isinstance(ours, Untold):
        return _untold(ours, now) if step.powers else Allow()
    if not ours and not found.server.local:
        return Allow()
    if step.powers:
        return Refuse(Reason.OWN_SERVER, f"{found.server.name} is the machine we run on", escalate=True)
    name = found.container or ""
    own = name in facts.limits.own_containers or name.startswith(f"{OWN_PROJECT}-")
    if own or (found.compose is not None and found.compose[0] == OWN_PROJECT):
        return Refuse(Reason.OWN_CONTAINER, f"{found.label} is part of Sitemedic", escalate=True)
    return Allow()


def _untold(why: Untold, now: float) -> Verdict:
    detail = f"it cannot be told whether it is the machine we run on: {why.detail}"
    if why.permanent:
        return Refuse(Reason.OWN_SERVER, detail, escalate=True)
    return WaitUntil(Reason.OWN_SERVER, now + SOON, detail)
