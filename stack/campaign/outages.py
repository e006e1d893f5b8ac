"""The outages by name: how each is played, and on which servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stack.campaign import breaking, forbidden
from stack.campaign.lab import watched
from stack.campaign.scene import Scene
from stack.campaign.sites_file import (
    APPROVED,
    BOOTABLE,
    KNOWN_LINODE,
    NEEDING,
    OBSERVED,
    REBOOTABLE,
    UNWATCHED,
)

STORM = 21
"""Servers: with their sites, more than half of all fail."""


@dataclass(frozen=True)
class Outage:
    """How an outage is played, and on how many of which servers."""

    play: Callable[[Scene], None]
    servers: tuple[str, ...]
    count: int = 1


def _numbered(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"web-{number:02}" for number in range(first, last + 1))


ANYWHERE = tuple(watched())
MAY_REBOOT = _numbered(1, REBOOTABLE)
OUTAGES: dict[str, Outage] = {
    "wrong_answer": Outage(breaking.wrong_answer, ANYWHERE),
    "no_answer": Outage(breaking.no_answer, ANYWHERE),
    "container_stopped": Outage(breaking.container_stopped, ANYWHERE),
    "server_dead": Outage(breaking.server_dead, MAY_REBOOT),
    "whole_server": Outage(breaking.whole_server, ANYWHERE),
    "heals_itself": Outage(breaking.heals_itself, ANYWHERE),
    "stubborn": Outage(breaking.stubborn, ANYWHERE),
    "flapping": Outage(breaking.flapping, ANYWHERE),
    "dead_ssh_living_neighbours": Outage(breaking.dead_ssh_living_neighbours, MAY_REBOOT),
    "server_dead_not_allowed": Outage(breaking.server_dead, _numbered(REBOOTABLE + 1, KNOWN_LINODE + 2)),
    "for_a_human": Outage(forbidden.for_a_human, ANYWHERE),
    "paused": Outage(forbidden.paused, ANYWHERE),
    "maintenance": Outage(forbidden.maintenance, ANYWHERE),
    "removed": Outage(forbidden.removed, tuple(sorted(set(ANYWHERE) - NEEDING))),
    "observed": Outage(forbidden.observed, (OBSERVED,)),
    "unwatched": Outage(forbidden.unwatched, (UNWATCHED,)),
    "unknown_site": Outage(forbidden.unknown_site, (), count=0),
    "silenced": Outage(forbidden.silenced, ANYWHERE),
    "silenced_late": Outage(forbidden.silenced_late, ANYWHERE),
    "paused_late": Outage(forbidden.paused_late, ANYWHERE),
    "maintenance_late": Outage(forbidden.maintenance_late, ANYWHERE),
    "approved": Outage(forbidden.approved, APPROVED),
    "denied": Outage(forbidden.denied, APPROVED),
    "server_off": Outage(breaking.server_off, _numbered(1, BOOTABLE)),
    "server_off_not_allowed": Outage(breaking.server_off, _numbered(BOOTABLE + 1, KNOWN_LINODE)),
    "needs": Outage(forbidden.needs, tuple(sorted(NEEDING))),
    "monitor_half_cut": Outage(breaking.monitor_half_cut, ANYWHERE, count=3),
    "monitor_cut": Outage(breaking.monitor_cut, (), count=0),
    "storm": Outage(breaking.storm, ANYWHERE, count=STORM),
}
