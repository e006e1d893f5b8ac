"""The guards: small pure rules, each of which can hold a step back.

A new guard is one file and one line here. Their order is the order in which reasons are told; all are asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.guards.attempt_budget import attempt_budget
from remediator.guards.canaries import canaries
from remediator.guards.cooldown import cooldown
from remediator.guards.fresh_probe import fresh_probe
from remediator.guards.max_unhealthy import max_unhealthy
from remediator.guards.may_reboot import may_reboot
from remediator.guards.mode import mode
from remediator.guards.needs import needs
from remediator.guards.neighbours import neighbours
from remediator.guards.own_host import own_host
from remediator.guards.paused import paused
from remediator.guards.server_lease import server_lease
from remediator.guards.target import target
from remediator.guards.verdict import Guard

GUARDS: Mapping[str, Guard] = {
    "paused": paused,
    "max_unhealthy": max_unhealthy,
    "canaries": canaries,
    "fresh_probe": fresh_probe,
    "target": target,
    "own_host": own_host,
    "needs": needs,
    "may_reboot": may_reboot,
    "neighbours": neighbours,
    "server_lease": server_lease,
    "cooldown": cooldown,
    "attempt_budget": attempt_budget,
    "mode": mode,
}
