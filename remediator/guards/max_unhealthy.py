"""When much fails at once it is rarely the containers: a cap on the share of unhealthy sites.

Sites on one server, or below one site, are one thing that can break: where a single such thing holds all
that is unhealthy, or where there are fewer than three sites, a share says nothing. Then the rule is one
incident at a time instead (docs/adr/0007). A reboot always needs a canary that answers, and above the cap
also that nothing is silent on another server: that looks like a network, which no reboot mends.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.guards.verdict import SOON, Allow, Refuse, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Kind, Reason, kind_of
from remediator.model.seen import SiteState

FEW = 3


def max_unhealthy(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait while the share of unhealthy sites, those being worked on included, is above the cap."""
    if facts.sites is None:
        return WaitUntil(Reason.NO_SITES, now + SOON, "the exporter could not be asked for its sites")
    site = facts.incident.site
    unhealthy = facts.sites.failing | facts.in_flight | {site}
    total = max(len(facts.sites), len(unhealthy))
    cap = facts.limits.max_unhealthy
    share = len(unhealthy) / total
    numbers = {"sites": total, "unhealthy": len(unhealthy), "share": round(share, 4), "cap": cap}
    if cap <= 0:
        return Refuse(
            Reason.TOO_MANY_UNHEALTHY, "max_unhealthy is 0: nothing is ever touched", numbers=numbers
        )
    if total >= FEW and share <= cap:
        return Allow(numbers)
    silent = _silent_elsewhere(unhealthy, facts) if step.reboots and total >= FEW else []
    if total >= FEW and (silent or not _one_thing(unhealthy, facts.sites, facts.servers)):
        detail = f"{len(unhealthy)} of {total} sites are unhealthy, more than {cap:.0%}"
        return WaitUntil(Reason.TOO_MANY_UNHEALTHY, now + SOON, detail, numbers)
    others = sorted(facts.in_flight - {site})
    if others:
        return WaitUntil(Reason.ONE_AT_A_TIME, now + SOON, f"{others[0]} is being worked on", numbers)
    return Allow(numbers)


def _one_thing(unhealthy: frozenset[str], sites: Mapping[str, SiteState], servers: Mapping[str, str]) -> bool:
    """Tell whether one server, or one root site, holds all that is unhealthy; a chain of them is not one.

    A site that names no server counts as being on the servers of its root site's other parts.
    """
    roots = (_root(name, sites) for name in unhealthy)
    first = next(roots)
    if all(root == first for root in roots):
        return True
    own = set()
    for name in unhealthy:
        if name in servers:
            own.add(servers[name])
        if len(own) > 1:
            return False  # at once: in a storm of thousands this is asked for each of them
    places: dict[str, set[str]] = {_root(name, sites): set() for name in unhealthy if name not in servers}
    for name, server in servers.items():
        if (root := _root(name, sites)) in places:
            places[root].add(server)
    return bool(set.intersection(*places.values(), *([own] if own else [])))


def _silent_elsewhere(unhealthy: frozenset[str], facts: Facts) -> list[str]:
    """Return the unhealthy sites of other servers that do not answer at all."""
    assert facts.sites is not None
    here = facts.target.server.name if facts.target else None
    return [
        name
        for name in sorted(unhealthy)
        if facts.servers.get(name, here) != here
        and name in facts.sites.failing
        and kind_of(facts.sites[name].reason) is not Kind.ANSWERS_WRONGLY
    ]


def _root(name: str, sites: Mapping[str, SiteState]) -> str:
    state = sites.get(name)
    return state.part_of if state is not None else name.partition("/")[0]
