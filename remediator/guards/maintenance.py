"""In a planned window somebody is at work."""

from __future__ import annotations

from datetime import UTC, datetime

from remediator.guards.verdict import Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def maintenance(facts: Facts, _step: Step, now: float) -> Verdict:
    """Wait until the maintenance window ends."""
    window = facts.maintenance
    if window is None or window.until <= now:
        return Allow()
    ends = f"{datetime.fromtimestamp(window.until, UTC):%Y-%m-%d %H:%M} UTC"
    return WaitUntil(
        Reason.MAINTENANCE, window.until, f"{window.name} lasts until {ends}", {"window_ends": window.until}
    )
