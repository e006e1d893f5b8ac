"""Random worlds, for hypothesis: servers, sites, people, and what befalls them.

Every strategy is made once, since hypothesis looks long at a new one; the first of several values is the
plainest, towards which it shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

from remediator.model.incident import Mode
from tests.simulation.plan import PLAYBOOKS, Answering, Cure, Plan, ServerPlan, SitePlan, Trouble, What

T = TypeVar("T")
CALM = 900.0
"""Seconds at the end in which nothing new happens: longer than any cooldown."""
SECONDS = 3000.0
FOR_GOOD = 1e9
REASONS = ("status", "timeout", "body", "refused", "status", "timeout", "reset", "timeout", "dns")
CURES = (Cure.RESTART, Cure.RESTART, Cure.RESTART, Cure.SECOND_RESTART, Cure.HOOK, Cure.NOTHING)
OF_SERVERS = (
    What.SERVER_DEAD,
    What.SERVER_DEAD,
    What.SERVER_OFF,
    What.NO_WAY_IN,
    What.FOREIGN_EVENT,
    What.ACT_FAILS,
)
WAYS = {
    What.NO_WAY_IN: ("unreachable", "auth", "host_key_changed", "cannot_tell"),
    What.ACT_FAILS: ("failed", "failed", "permanent", "unknown", "abandoned"),
    What.CUT: ("", "other_route"),
    What.STORM: ("status", "timeout"),
    What.FLAPPING: ("status", "timeout"),
    What.CONTAINER_TOLD: ("exited", "running", "exited", "restarting", "paused"),
}
MUCH = {
    What.ACT_FAILS: (0.0, 1.0),
    What.STORM: (0.7, 0.4, 1.0),
    What.AGED: (12.0, 8.0, 600.0, -5.0),
    What.CRASH: (0.0, 0.0, 200.0, -200.0, -4000.0),
    What.FLAPPING: (20.0, 5.0, 70.0),
}
OF_EVERYTHING = (
    What.CUT,
    What.STORM,
    What.CRASH,
    What.CUT,
    What.STORM,
    What.CRASH,
    What.NO_PROBES,
    What.NO_SITES,
    What.NO_CANARIES,
    What.AGED,
    What.SILENCES_UNKNOWN,
)
OF_PEOPLE = (
    What.PAUSED,
    What.MAINTENANCE,
    What.SILENCED,
    What.PAUSED,
    What.MAINTENANCE,
    What.SILENCED,
    What.REMOVED,
    What.OBSERVED,
    What.FALSE_ALERT,
    What.FLAPPING,
    What.CONTAINER_TOLD,
)
SHIFTS = (20.0, 35.0, 0.0, 28.0, 45.0, 90.0, -60.0, FOR_GOOD, FOR_GOOD)
LONGEST = dict.fromkeys(OF_EVERYTHING, 150) | dict.fromkeys(OF_PEOPLE, 400) | dict.fromkeys(OF_SERVERS, 600)


@cache
def _up_to(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


def _mostly(draw: st.DrawFn, usual: T, *others: T, of: int = 12) -> T:
    """Draw the usual value, and each of the others once in so many times."""
    number = draw(_up_to(of - 1)) - (of - len(others))
    return others[number] if number >= 0 else usual


def _one(draw: st.DrawFn, values: Sequence[T]) -> T:
    return values[draw(_up_to(len(values) - 1))]


def _when(draw: st.DrawFn, longest: int) -> tuple[float, float]:
    """Draw a beginning and a length that ends before the calm."""
    at = draw(_up_to(int(SECONDS - CALM) // 10 - 10)) * 10.0 + 5.0
    return at, min(draw(_up_to(longest // 10 - 2)) * 10.0 + 20.0, SECONDS - CALM - at)


def _server(draw: st.DrawFn, name: str) -> ServerPlan:
    linode = _mostly(draw, 7, None, None)
    ours = _mostly(draw, False, True, of=7)
    may_reboot = linode is not None and _mostly(draw, True, False, False)
    may_boot = linode is not None and _mostly(draw, True, False, False)
    return ServerPlan(name, linode, may_reboot, may_boot, ours and linode is None, ours)


def _sites(draw: st.DrawFn, on: Sequence[ServerPlan]) -> tuple[SitePlan, ...]:
    usual = _mostly(draw, Mode.AUTO, Mode.APPROVE, Mode.APPROVE)
    found: list[SitePlan] = []
    for number in range(_one(draw, (9, 7, 5, 1, 2, 3))):
        host = on[number % len(on)]
        app = number > 0 and _mostly(draw, False, True, True)
        name = f"{found[0].name}/app{number}" if app else f"s{number}"
        found.append(
            SitePlan(
                name,
                _mostly(draw, host.name, None),
                _mostly(draw, f"c{number}", "c0", "sitemedic-web", of=4 if host.ours else 12),
                _mostly(draw, 1, 0, 2, of=20),
                _mostly(draw, usual, Mode.OBSERVE, Mode.APPROVE),
                _mostly(draw, (), (found[-1].name,)) if found else (),
                _mostly(draw, "default", *PLAYBOOKS),
            )
        )
    return tuple(found)


@st.composite
def _outage(draw: st.DrawFn) -> tuple[Trouble, int]:
    at, lasts = _when(draw, 600)
    lasts = _mostly(draw, lasts, FOR_GOOD, of=10)
    cure, how = _one(draw, CURES), _one(draw, REASONS)
    return Trouble(What.OUTAGE, at, lasts, how=how, cure=cure), draw(_up_to(8))


KINDS = (OF_SERVERS, OF_EVERYTHING, OF_PEOPLE)


@st.composite
def _beside(draw: st.DrawFn, kinds: tuple[tuple[What, ...], ...]) -> tuple[Trouble, int, float]:
    """Draw what befalls a server or everything, or what people do; and near which outage."""
    what = _one(draw, _one(draw, kinds))
    at, lasts = _when(draw, LONGEST[what])
    how, much = _one(draw, WAYS.get(what, ("",))), _one(draw, MUCH.get(what, (0.0,)))
    cure = Cure.BOOT if what is What.SERVER_OFF else Cure.NOTHING
    if what is What.SERVER_DEAD:
        cure = _one(draw, (Cure.REBOOT, Cure.REBOOT, Cure.NOTHING))
    return Trouble(what, at, lasts, "", how, cure, much), draw(_up_to(15)), _one(draw, SHIFTS)


def _near(drawn: tuple[Trouble, int, float], outages: Sequence[Trouble], plan: Mapping[str, str]) -> Trouble:
    """Put a trouble where an outage is, and mostly also when it is, so that they meet."""
    trouble, number, shift = drawn
    outage = outages[number % len(outages)]
    site, at = outage.where, trouble.at
    if shift < FOR_GOOD:
        at = min(max(5.0, outage.at + shift), SECONDS - CALM - 100.0)
    lasts = min(trouble.lasts, SECONDS - CALM - at)
    host = plan.get(site, next(iter(plan.values()), "a"))
    if trouble.what in OF_SERVERS:
        where = host
    elif trouble.what is What.PAUSED:
        where = ("all", f"site:{site.partition('/')[0]}", f"server:{host}", f"site:{site}")[number % 4]
    elif trouble.what is What.MAINTENANCE:
        where = ("", site, host, site.partition("/")[0])[number % 4]
    else:
        where = "" if trouble.what in OF_EVERYTHING else site
    return replace(trouble, at=at, lasts=lasts, where=where)


_OUTAGES = st.lists(_outage(), min_size=6, max_size=16)
_BESIDE = st.lists(_beside(KINDS), max_size=14)
_ANSWERS = st.lists(
    st.builds(Answering, st.sampled_from([5.0, 60.0, 400.0]), st.sampled_from([True, True, False, None])),
    min_size=1,
    max_size=4,
)


@cache
def plans(*often: What) -> st.SearchStrategy[Plan]:
    """Return worlds; where kinds of trouble are named, every second one is of these."""
    return _plans(st.lists(_beside((often, *KINDS, often, often)), max_size=14) if often else _BESIDE)


@st.composite
def _plans(draw: st.DrawFn, besides: st.SearchStrategy[list[tuple[Trouble, int, float]]]) -> Plan:
    on = tuple(_server(draw, name) for name in "abc"[: _one(draw, (2, 1, 3))])
    sites = _sites(draw, on)
    names = [one.name for one in sites]
    outages = [replace(one, where=names[number % len(names)]) for one, number in draw(_OUTAGES)]
    hosts = {one.name: one.server for one in sites if one.server is not None}
    return Plan(
        on,
        sites,
        (*outages, *(_near(one, outages, hosts) for one in draw(besides))),
        tuple(draw(_ANSWERS)),
        canaries=_mostly(draw, 2, 0, 0),
        max_unhealthy=_mostly(draw, 0.5, 0.3, 0.4, 1.0, 0.0),
        attempts=_mostly(draw, 3, 1, 2, 2),
        cooldown=_one(draw, (20.0, 60.0)),
        seconds=SECONDS,
    )
