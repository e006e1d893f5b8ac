"""Nothing is touched while a person has paused it."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.holds import Pause
from remediator.model.incident import Reason


def applies(pause: Pause, site: str, server: str | None) -> bool:
    """Tell whether a pause covers a site (its apps too) or the server it is on."""
    kind, _, name = pause.scope.partition(":")
    if kind == "site":
        return site == name or site.startswith(f"{name}/")
    if kind == "server":
        return server == name
    return True


def paused(facts: Facts, _step: Step, _now: float) -> Verdict:
    """Refuse while any pause covers the site or its server."""
    server = facts.target.server.name if facts.target else None
    for pause in facts.pauses:
        if applies(pause, facts.incident.site, server):
            detail = f"{pause.scope} paused by {pause.by or 'somebody'}: {pause.reason or 'no reason given'}"
            return Refuse(Reason.PAUSED, detail, numbers={"scope": pause.scope, "since": pause.since})
    return Allow()
