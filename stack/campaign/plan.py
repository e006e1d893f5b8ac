"""What will go wrong, drawn from a seed: outages, and the faults that come with them."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

OUTAGES: dict[str, int] = {
    "wrong_answer": 10,
    "no_answer": 8,
    "container_stopped": 10,
    "server_dead": 7,
    "whole_server": 5,
    "heals_itself": 6,
    "stubborn": 4,
    "flapping": 3,
    "dead_ssh_living_neighbours": 4,
    "server_dead_not_allowed": 3,
    "for_a_human": 3,
    "paused": 4,
    "maintenance": 3,
    "removed": 3,
    "observed": 2,
    "unwatched": 2,
    "unknown_site": 2,
    "needs": 2,
    "silenced": 2,
    "silenced_late": 2,
    "paused_late": 2,
    "maintenance_late": 2,
    "approved": 3,
    "denied": 2,
    "server_off": 4,
    "server_off_not_allowed": 2,
    "monitor_half_cut": 2,
    "monitor_cut": 1,
    "storm": 1,
}
"""How often each is drawn; every one comes once before any comes twice by chance."""
ANY = (
    "sigkill", "sigkill", "sigkill", "duplicates", "reordered", "false_resolve", "prometheus_restart",
    "database_locked", "clock_jump", "exporter_gone", "exporter_slow", "alertmanager_gone",
)  # fmt: skip
AS_ROOT = ("disk_full",)
INSIDE = (
    "ssh_hangs", "ssh_half_answer", "ssh_drops", "ssh_drops_before", "host_key", "docker_fails",
    "docker_gone", "docker_lies", "docker_hangs_before", "docker_hangs_after",
)  # fmt: skip
LINODE = (
    "linode_busy", "linode_429", "linode_503", "linode_drops_after_accept", "linode_drops", "linode_hangs",
    "linode_no_event", "linode_job_fails", "linode_foreign_event", "linode_html",
)  # fmt: skip
_WITH_INSIDE = frozenset(
    {"wrong_answer", "no_answer", "container_stopped", "whole_server", "stubborn", "heals_itself", "flapping"}
)
_AT_RISK = 0.75
_TWICE = 0.25


@dataclass(frozen=True)
class Planned:
    """One outage; `pick` chooses among the places that are free, `faults` come `delay` seconds into it."""

    number: int
    outage: str
    faults: tuple[str, ...]
    delays: tuple[float, ...]
    seed: int

    def __str__(self) -> str:
        return f"{self.number}: {self.outage}" + (f" + {', '.join(self.faults)}" if self.faults else "")


NONE = "none"
"""Instead of a fault's name: no faults at all."""


@dataclass(frozen=True)
class Wanted:
    """What a plan is drawn from; no `outages`, or no `faults`: of all of them, each with its weight.

    `without`: faults that this machine cannot have.
    """

    incidents: int
    seed: int
    outages: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    without: Collection[str] = ()


def draw(wanted: Wanted) -> list[Planned]:
    """Return the plan of a seed."""
    dice = random.Random(wanted.seed)
    outages = _outages(wanted, dice)
    return [_planned(number, outage, dice, wanted) for number, outage in enumerate(outages, 1)]


def _outages(wanted: Wanted, dice: random.Random) -> list[str]:
    incidents = wanted.incidents
    weights = {name: OUTAGES[name] for name in wanted.outages or OUTAGES}
    once = dice.sample([*weights], len(weights))
    more = dice.choices([*weights], [*weights.values()], k=max(0, incidents - len(once)))
    chosen = [*once[:incidents], *more]
    dice.shuffle(chosen)
    return chosen


def _planned(number: int, outage: str, dice: random.Random, wanted: Wanted) -> Planned:
    possible = wanted.faults or [one for one in _possible(outage) if one not in wanted.without]
    count = (dice.random() < _AT_RISK) + (dice.random() < _TWICE)
    if wanted.faults:
        count = 0 if NONE in wanted.faults else 1
    faults = tuple(dict.fromkeys(dice.choice(possible) for _ in range(count)))
    delays = tuple(round(dice.uniform(0.0, 5.0), 2) for _ in faults)
    return Planned(number, outage, faults, delays, dice.randrange(2**32))


def _possible(outage: str) -> Sequence[str]:
    anyway = (*ANY, *AS_ROOT)
    if outage in ("server_dead", "server_off"):
        return (*LINODE, *LINODE, *anyway)
    return (*INSIDE, *INSIDE, *anyway) if outage in _WITH_INSIDE else anyway
