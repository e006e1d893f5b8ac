"""Knowing a Linode is not permission to reboot it."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def may_reboot(facts: Facts, step: Step, _now: float) -> Verdict:
    """Refuse a reboot that sites.yml does not allow with `linode:` and `may_reboot: true`."""
    if not step.reboots:
        return Allow()
    server = facts.target.server if facts.target else None
    if server is None or server.linode is None or not server.may_reboot:
        return Refuse(
            Reason.REBOOT_NOT_ALLOWED, "sites.yml does not allow to reboot this server", escalate=True
        )
    return Allow({"linode": server.linode})
