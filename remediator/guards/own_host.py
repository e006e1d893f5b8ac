"""Our own host is never rebooted, our own containers are never restarted."""

from __future__ import annotations

from remediator.facts import Facts, Step
from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.incident import Reason

OWN_PROJECT = "sitemedic"


def own_host(facts: Facts, step: Step, _now: float) -> Verdict:
    """Refuse to touch what the remediator itself runs on."""
    found = facts.target
    if found is None or not found.server.local:
        return Allow()
    if step.reboots:
        return Refuse(Reason.OWN_SERVER, f"{found.server.name} is the machine we run on", escalate=True)
    name = found.container or ""
    ours = name in facts.limits.own_containers or name.startswith(f"{OWN_PROJECT}-")
    if ours or (found.compose is not None and found.compose[0] == OWN_PROJECT):
        return Refuse(Reason.OWN_CONTAINER, f"{found.label} is part of Sitemedic", escalate=True)
    return Allow()
