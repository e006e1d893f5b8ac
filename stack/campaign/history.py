"""The ledger read as a history: effects with their beginning and end, and states over time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from stack.campaign.ledger import Entry, Kind, Ledger

T = TypeVar("T")
FOREVER = float("inf")


@dataclass(frozen=True)
class Effect:
    """Something that really happened on a server; `site` empty where the whole server was meant."""

    what: str
    server: str
    container: str
    site: str
    begin: float
    end: float

    def __str__(self) -> str:
        return f"{self.what} of {self.container or self.server} on {self.server} at {self.begin:.3f}"

    @property
    def power(self) -> bool:
        """Tell whether it took the whole server down, or up."""
        return self.what in ("reboot", "boot")


@dataclass(frozen=True)
class Forbidden:
    """A time in which a site must not be touched; `at_once`: nothing was under way when it began."""

    why: str
    begin: float
    end: float
    at_once: bool


class Line(Generic[T]):
    """A state over time: what it was at a moment, and all that it was between two."""

    def __init__(self, first: T, changes: Iterable[tuple[float, T]]) -> None:
        self._times = [0.0]
        self._states = [first]
        for at, state in changes:
            self._times.append(at)
            self._states.append(state)

    def at(self, moment: float) -> T:
        """Return the state at a moment."""
        return self._states[max(0, bisect_right(self._times, moment) - 1)]

    def between(self, begin: float, end: float) -> list[T]:
        """Return every state that it had between two moments."""
        first = max(0, bisect_right(self._times, begin) - 1)
        return self._states[first : bisect_right(self._times, end)]

    def since(self, moment: float) -> float:
        """Return when the state of a moment began."""
        return self._times[max(0, bisect_right(self._times, moment) - 1)]

    def steady(self, begin: float, end: float, is_so: Callable[[T], bool]) -> bool:
        """Tell whether it was so all the time between two moments."""
        return all(is_so(state) for state in self.between(begin, end))


class History:
    """What the invariants ask of a ledger; `places`: each site's server."""

    def __init__(self, ledger: Ledger, places: dict[str, str]) -> None:
        self.ledger = ledger
        self.places = places

    def sites_of(self, server: str) -> list[str]:
        """Return the sites of a server."""
        return [site for site, where in self.places.items() if where == server]

    @cached_property
    def effects(self) -> list[Effect]:
        """Return all that was done, in order."""
        found, open_now = [], dict[tuple[str, str, str], Entry]()
        for one in self.ledger.entries(Kind.EFFECT):
            key = (one.subject, one.detail["what"], one.detail["container"])
            if not one.detail["ended"]:
                if key in open_now:
                    found.append(_effect(open_now[key], FOREVER))
                open_now[key] = one
            elif key in open_now:
                found.append(_effect(open_now.pop(key), one.at))
        found += [_effect(one, FOREVER) for one in open_now.values()]
        return sorted(found, key=lambda effect: effect.begin)

    @cached_property
    def down(self) -> dict[str, Line[bool]]:
        """Return, for each site, whether the monitor would see it fail."""
        changes: dict[str, list[tuple[float, bool]]] = {site: [] for site in self.places}
        for one in self.ledger.entries(Kind.SEEN):
            changes[one.subject].append((one.at, one.detail["reason"] is not None))
        return {site: Line(False, _merged(line)) for site, line in changes.items()}

    @cached_property
    def all_down(self) -> Line[frozenset[str]]:
        """Return which sites the monitor would see fail."""
        now: set[str] = set()
        changes: list[tuple[float, frozenset[str]]] = []
        for one in self.ledger.entries(Kind.SEEN):
            (now.discard if one.detail["reason"] is None else now.add)(one.subject)
            changes.append((one.at, frozenset(now)))
        return Line(frozenset(), changes)

    @cached_property
    def canaries(self) -> Line[bool]:
        """Return whether the canaries answer."""
        found = self.ledger.entries(Kind.CANARIES)
        return Line(True, ((one.at, bool(one.detail["answering"])) for one in found))

    @cached_property
    def probes(self) -> dict[str, Line[bool | None]]:
        """Return, for each site, the verdict of its last fresh probe: True where it passed."""
        found: dict[str, list[tuple[float, bool | None]]] = {site: [] for site in self.places}
        for one in self.ledger.entries(Kind.PROBE):
            found[one.subject].append((one.at, bool(one.detail["passed"])))
        return {site: Line(None, line) for site, line in found.items()}

    def forbidden(self) -> dict[str, list[Forbidden]]:
        """Return, for each site, why and from when to when it must not be touched."""
        begun: dict[tuple[str, str], Entry] = {}
        found: dict[str, list[Forbidden]] = {}
        for one in self.ledger.entries(Kind.FORBIDDEN):
            key = (one.subject, one.detail["why"])
            if one.detail["on"]:
                begun[key] = one
            elif key in begun:
                found.setdefault(one.subject, []).append(_forbidden(begun.pop(key), one.at))
        for (site, _), entry in begun.items():
            found.setdefault(site, []).append(_forbidden(entry, FOREVER))
        return found


def _forbidden(entry: Entry, end: float) -> Forbidden:
    return Forbidden(entry.detail["why"], entry.at, end, bool(entry.detail["at_once"]))


def _effect(entry: Entry, end: float) -> Effect:
    told = entry.detail
    return Effect(told["what"], entry.subject, told["container"], told.get("site", ""), entry.at, end)


def _merged(line: Sequence[tuple[float, bool]]) -> list[tuple[float, bool]]:
    """Leave out what changes nothing: a site that fails for another reason goes on failing."""
    kept: list[tuple[float, bool]] = []
    for at, state in line:
        if (kept[-1][1] if kept else False) is not state:
            kept.append((at, state))
    return kept
