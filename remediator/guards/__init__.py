"""The guards: small pure rules, each of which can hold a step back.

A new guard is one file and one line here. Their order is the order in which reasons are told; all are asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.guards.attempt_budget import attempt_budget
from remediator.guards.canaries import canaries
from remediator.guards.container_ended import container_ended
from remediator.guards.cooldown import cooldown
from remediator.guards.fresh_probe import fresh_probe
from remediator.guards.linode_status import linode_status
from remediator.guards.maintenance import maintenance
from remediator.guards.max_unhealthy import max_unhealthy
from remediator.guards.may_boot import may_boot
from remediator.guards.may_reboot import may_reboot
from remediator.guards.mode import mode
from remediator.guards.needs import needs
from remediator.guards.neighbours import neighbours
from remediator.guards.own_host import own_host
from remediator.guards.paused import paused
from remediator.guards.server_lease import server_lease
from remediator.guards.silence import silence
from remediator.guards.start_up import start_up
from remediator.guards.storm_cooldown import storm_cooldown
from remediator.guards.target import target
from remediator.guards.verdict import Guard

GUARDS: Mapping[str, Guard] = {
    "paused": paused,
    "max_unhealthy": max_unhealthy,
    "canaries": canaries,
    "storm_cooldown": storm_cooldown,
    "fresh_probe": fresh_probe,
    "maintenance": maintenance,
    "silence": silence,
    "start_up": start_up,
    "container_ended": container_ended,
    "target": target,
    "own_host": own_host,
    "needs": needs,
    "may_reboot": may_reboot,
    "may_boot": may_boot,
    "linode_status": linode_status,
    "neighbours": neighbours,
    "server_lease": server_lease,
    "cooldown": cooldown,
    "attempt_budget": attempt_budget,
    "mode": mode,
}
