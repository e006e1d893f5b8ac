"""Before its SiteDown fires, a site is healed only of a container that has ended.

Whoever restarts or renews a container makes it end for a moment too, and its site fail: that is over before
`alert.after` is, and nobody wants a second restart in the middle of it.
"""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.findings import read
from remediator.model.incident import Reason

ENDED = frozenset({"exited", "dead"})
POWER = frozenset({"reboot_linode", "boot_linode"})


def container_ended(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait for SiteDown unless the look shows that the container has ended, and the step is for it."""
    if not facts.incident.early or step.action is None:
        return Allow()
    look = facts.incident.look
    found = read(look).container if look is not None else None
    status = found.status if found is not None else None
    if status in ENDED and step.action not in POWER:
        return Allow({"container": status})
    return not_yet(now)


def not_yet(now: float) -> WaitUntil:
    """Wait for SiteDown: its container's alert alone is no reason for more."""
    detail = "its SiteDown has not fired yet, and its container has not ended"
    return WaitUntil(Reason.SITE_NOT_DOWN_YET, now + SOON, detail)
