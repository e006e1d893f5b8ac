"""What must never happen, checked from the lab's ledger: each a function over the history, one name each.

The remediator's facts are some moments old when it acts. Where a state forbids an act, it must therefore
have lasted since before the act was decided on: since the outage was visible, or for `WINDOW` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from stack.campaign.history import Effect, History
from stack.campaign.lab import TIMING
from stack.campaign.ledger import Kind
from stack.campaign.sites_file import BOOTABLE, NEEDING, REBOOTABLE, REMEDIATION

WINDOW = 14.0
"""Seconds between a decision's facts and its effect at most: `act_within`, a busy database, a slow SSH."""
PROBED_WITHIN = 10.0
UNDER_WAY = 6.0
"""Seconds for which an act may still come that was under way when it was forbidden."""
AFTER_A_REBOOT = 35.0
"""Seconds in which a reboot may start the container that it is for."""
PER = float(REMEDIATION["per"].removesuffix("s"))
BUDGET = int(REMEDIATION["attempts"])
COOLDOWN = float(REMEDIATION["cooldown"].removesuffix("s"))
CAP = float(REMEDIATION["max_unhealthy"].removesuffix("%")) / 100
FOR_ALL = frozenset({"paused", "maintenance"})
"""What also forbids to reboot the site's server for another one."""
SLEW = 0.06
"""How much faster than time the remediator's clock may go while it is off."""


@dataclass(frozen=True)
class Broken:
    """One broken invariant: what happened, when, and to whom."""

    invariant: str
    what: str
    at: float
    words: frozenset[str] = frozenset()


Check = Callable[[History], Iterator[Broken]]


def fresh_probe(history: History) -> Iterator[Broken]:
    """Nothing is done but after a fresh probe of that site that failed, and none since that passed."""
    for effect in history.effects:
        if _settles_a_reboot(effect, history):
            continue
        sites = [effect.site] if effect.site else history.sites_of(effect.server)
        if not any(_just_failed(site, effect.begin, history) for site in sites):
            yield _broken("fresh_probe", f"{effect}: no fresh probe that failed just before", effect)


def attempt_budget(history: History) -> Iterator[Broken]:
    """No container is restarted, no server rebooted, more often than the budget within its window."""
    span = (PER - TIMING["act_within"]) * (1 - SLEW)
    for line in _by_target(history).values():
        for first, last in zip(line, line[BUDGET:], strict=False):
            if last.begin - first.begin < span:
                what = f"{last}: the {BUDGET + 1}th within {last.begin - first.begin:.1f} s"
                yield _broken("attempt_budget", what, last)


def cooldown(history: History) -> Iterator[Broken]:
    """Between two acts on one container, or two reboots of one server, there is a cooldown."""
    for line in _by_target(history).values():
        for first, second in pairwise(line):
            if second.begin - first.end < COOLDOWN * (1 - SLEW):
                what = f"{second}: {second.begin - first.end:.2f} s after {first}"
                yield _broken("cooldown", what, second)


def max_unhealthy(history: History) -> Iterator[Broken]:
    """Nothing is done while more sites fail than the cap allows, unless one server holds them all."""

    def too_many(down: frozenset[str]) -> bool:
        servers = {history.places[site] for site in down}
        return len(down) / len(history.places) > CAP and len(servers) > 1

    for effect in history.effects:
        if history.all_down.steady(_decided(effect, history), effect.begin, too_many):
            down = len(history.all_down.at(effect.begin))
            what = f"{effect}: {down} of {len(history.places)} sites were failing"
            yield _broken("max_unhealthy", what, effect)


def canaries(history: History) -> Iterator[Broken]:
    """Nothing is done while no canary answers."""
    for effect in history.effects:
        if history.canaries.steady(_decided(effect, history), effect.begin, lambda answering: not answering):
            since = history.canaries.since(effect.begin)
            yield _broken("canaries", f"{effect}: no canary answered since {since:.3f}", effect)


def server_lease(history: History) -> Iterator[Broken]:
    """Never two acts at once on one server."""
    busy: dict[str, Effect] = {}
    for effect in history.effects:
        before = busy.get(effect.server)
        if before is not None and effect.begin < before.end:
            yield _broken("server_lease", f"{effect}: during {before}", effect)
        if before is None or effect.end > before.end:
            busy[effect.server] = effect


def neighbours(history: History) -> Iterator[Broken]:
    """No server is rebooted under a site that is well."""
    for effect in history.effects:
        if effect.what != "reboot":
            continue
        begin = max(effect.begin - WINDOW, 0.0)
        for site in history.sites_of(effect.server):
            if history.down[site].steady(begin, effect.begin, lambda down: not down):
                yield _broken("neighbours", f"{effect}: {site} was well", effect)
                break


def may_reboot(history: History) -> Iterator[Broken]:
    """No server is rebooted, or booted, that sites.yml does not allow."""
    for effect in history.effects:
        number = int(effect.server.removeprefix("web-"))
        if effect.power and number > (REBOOTABLE if effect.what == "reboot" else BOOTABLE):
            yield _broken("may_reboot", f"{effect}: not allowed", effect)


def hands_off(history: History) -> Iterator[Broken]:
    """Nothing is done to what is paused, in maintenance, observed, unwatched, removed, or a human's."""
    forbidden = history.forbidden()
    for effect in history.effects:
        for site in [effect.site] if effect.site else history.sites_of(effect.server):
            for one in forbidden.get(site, ()):
                decided_since = _decided(effect, history) >= one.begin
                late = one.at_once or decided_since or effect.begin >= one.begin + UNDER_WAY
                if one.begin <= effect.begin < one.end and late and (effect.site or one.why in FOR_ALL):
                    yield _broken(one.why, f"{effect}: {site} is {one.why} since {one.begin:.3f}", effect)


def needs(history: History) -> Iterator[Broken]:
    """Nothing is done to a site while what it needs is not healthy."""
    for effect in history.effects:
        if effect.server not in NEEDING or not effect.site.endswith("-c") or effect.what == "start":
            continue
        needed = f"{effect.server}-a"
        if history.down[needed].steady(_decided(effect, history), effect.begin, bool):
            yield _broken("needs", f"{effect}: it needs {needed}, which was failing", effect)


def host_key(history: History) -> Iterator[Broken]:
    """Nobody logs in to a server that shows another host key."""
    for one in history.ledger.entries(Kind.COMMAND):
        if one.detail["fault"] == "key_changed":
            what = f"{one.subject}: a login although the host key had changed"
            yield Broken("host_key", what, one.at, frozenset({one.subject}))


def _by_target(history: History) -> dict[tuple[str, str], list[Effect]]:
    """Return what each attempt did first, by container, or by server for its power."""
    found: dict[tuple[str, str], list[Effect]] = {}
    for effect in history.effects:
        if not _settles_a_reboot(effect, history):
            found.setdefault((effect.server, effect.container), []).append(effect)
    return found


def _settles_a_reboot(effect: Effect, history: History) -> bool:
    """Tell whether it is a container's start that belongs to the reboot of its server just before."""
    return effect.what == "start" and any(
        one.power and one.server == effect.server and 0 < effect.begin - one.begin < AFTER_A_REBOOT
        for one in history.effects
    )


def _just_failed(site: str, at: float, history: History) -> bool:
    line = history.probes[site]
    return line.at(at) is False and at - line.since(at) <= PROBED_WITHIN


def _decided(effect: Effect, history: History) -> float:
    """Return the earliest moment of which the facts can be that led to an effect."""
    sites = [effect.site] if effect.site else history.sites_of(effect.server)
    visible = min(
        (
            history.down[site].since(effect.begin - 0.01)
            for site in sites
            if history.down[site].at(effect.begin - 0.01)
        ),
        default=0.0,
    )
    return max(effect.begin - WINDOW, visible)


def _broken(invariant: str, what: str, effect: Effect) -> Broken:
    words = {effect.server, effect.site or effect.server}
    return Broken(invariant, what, effect.begin, frozenset(words))


CHECKS: dict[str, Check] = {
    "fresh_probe": fresh_probe,
    "attempt_budget": attempt_budget,
    "cooldown": cooldown,
    "max_unhealthy": max_unhealthy,
    "canaries": canaries,
    "server_lease": server_lease,
    "neighbours": neighbours,
    "may_reboot": may_reboot,
    "hands_off": hands_off,
    "needs": needs,
    "host_key": host_key,
}
