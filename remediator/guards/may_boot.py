"""Who switched a Linode off may have meant it: to boot it again is a permission of its own."""

from __future__ import annotations

from remediator.guards.verdict import Allow, Refuse, Verdict
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def may_boot(facts: Facts, step: Step, _now: float) -> Verdict:
    """Refuse a boot that sites.yml does not allow with `linode:` and `may_boot: true`."""
    if step.action != "boot_linode":
        return Allow()
    server = facts.target.server if facts.target else None
    if server is None or server.linode is None or not server.may_boot:
        detail = "its Linode is switched off, and sites.yml does not allow to boot it"
        return Refuse(Reason.SERVER_OFF, detail, escalate=True)
    return Allow({"linode": server.linode})
