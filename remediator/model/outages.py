"""When a site was down, as its incidents say, and what share of a time it was up. Pure; unix seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True)
class Outage:
    """One outage; `end` None while it lasts."""

    start: float
    end: float | None
    incident: int


@dataclass(frozen=True)
class Piece:
    """A piece of a strip that stands for a time: where it begins and how wide it is, both of 1."""

    at: float
    width: float
    incident: int


def uptime(outages: Iterable[Outage], now: float, window: float, watched: float | None = None) -> float:
    """Return the share of the last `window` seconds without an outage; of fewer if `watched` since then."""
    if watched is not None:
        window = min(window, max(now - watched, 1.0))
    down, until = 0.0, now - window
    for one in sorted(outages, key=lambda one: one.start):
        start, end = max(one.start, until), min(one.end if one.end is not None else now, now)
        if end > start:
            down += end - start
            until = end
    return min(1.0, max(0.0, 1.0 - down / window))


def pieces(outages: Iterable[Outage], now: float, window: float, narrowest: float = 0.01) -> Sequence[Piece]:
    """Return a strip of the last `window` seconds; a short outage is made wide enough to be seen."""
    begin = now - window
    found = []
    for one in outages:
        start, end = max(one.start, begin), min(one.end if one.end is not None else now, now)
        if end <= begin or start > now:
            continue
        width = max((end - start) / window, narrowest)
        found.append(Piece(round(min((start - begin) / window, 1 - width), 4), round(width, 4), one.incident))
    return found


def since(outages: Iterable[Outage]) -> float | None:
    """Return since when it is as it is: down since the outage that lasts, or up since the last one's end."""
    last = max(outages, key=lambda one: one.start, default=None)
    if last is None:
        return None
    return last.start if last.end is None else last.end


def percent(share: float) -> str:
    """Write a share so that it never says more than is so: 99.996 % is not 100 %."""
    if share >= 1:
        return "100\N{NO-BREAK SPACE}%"
    return f"{min(share * 100, 99.99):.2f}\N{NO-BREAK SPACE}%"
