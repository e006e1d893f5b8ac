"""When much fails at once it is rarely the containers: a cap on the share of unhealthy sites.

Sites on one server, or below one site, are one thing that can break: where a single such thing holds all
that is unhealthy, or where there are fewer than three sites, a share says nothing. Then the rule is one
incident at a time instead (and a reboot always needs a canary that answers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from remediator.facts import Facts, Step
from remediator.guards.verdict import SOON, Allow, Refuse, Verdict, WaitUntil
from remediator.incident import Reason, SiteState

FEW = 3


def max_unhealthy(facts: Facts, _step: Step, now: float) -> Verdict:
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
    if total >= FEW and not _one_thing(unhealthy, facts.sites, facts.servers):
        detail = f"{len(unhealthy)} of {total} sites are unhealthy, more than {cap:.0%}"
        return WaitUntil(Reason.TOO_MANY_UNHEALTHY, now + SOON, detail, numbers)
    others = sorted(facts.in_flight - {site})
    if others:
        return WaitUntil(Reason.ONE_AT_A_TIME, now + SOON, f"{others[0]} is being worked on", numbers)
    return Allow(numbers)


def _one_thing(unhealthy: Iterable[str], sites: Mapping[str, SiteState], servers: Mapping[str, str]) -> bool:
    """Tell whether the unhealthy sites hang together by their servers and root sites."""
    leaders: dict[str, str] = {}

    def leader(key: str) -> str:
        while leaders.setdefault(key, key) != key:
            leaders[key] = key = leaders[leaders[key]]
        return key

    roots = []
    for name in unhealthy:
        state = sites.get(name)
        roots.append(f"root {state.part_of if state else name.partition('/')[0]}")
        if name in servers:
            leaders[leader(roots[-1])] = leader(f"server {servers[name]}")
    return len({leader(root) for root in roots}) <= 1
