"""Who silences a site's alert in Alertmanager knows of the outage, and wants hands off it."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def silence(facts: Facts, _step: Step, now: float) -> Verdict:
    """Wait while a silence covers the site's SiteDown, or while that cannot be found out."""
    if facts.silenced is None:
        detail = "Alertmanager could not be asked for its silences"
        return WaitUntil(Reason.SILENCES_UNKNOWN, now + SOON, detail)
    if facts.silenced:
        return WaitUntil(Reason.SILENCED, now + SOON, "its alert is silenced in Alertmanager")
    return Allow()
