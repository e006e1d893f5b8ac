"""An action has exactly one target, out of sites.yml."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def target(facts: Facts, step: Step, _now: float) -> Verdict:
    """Refuse where sites.yml names no server, or not one container for a step that needs it."""
    found = facts.target
    if found is None or found.site != facts.incident.site:
        return Refuse(Reason.NO_TARGET, "sites.yml names no server for this site", escalate=True)
    containers = (found.container is not None) + (found.compose is not None)
    if step.action is not None and not step.reboots and containers != 1:
        return Refuse(
            Reason.NO_TARGET,
            f"{step.action} needs exactly one container in sites.yml (got {containers})",
            escalate=True,
            numbers={"containers": containers},
        )
    return Allow({"server": found.server.name, "target": found.label})
