"""The book of heartbeats as plain data, for the file that survives a restart; times in unix seconds."""

import math
from collections.abc import Mapping
from typing import Any

from exporter.heartbeats.heartbeat import Heard
from exporter.state import Moment

VERSION = 1


def as_plain(listened: Moment, heard: Mapping[str, Heard]) -> dict[str, Any]:
    """Return what is known as plain data; `listened` is now."""
    return {
        "version": VERSION,
        "listened": listened.wall,
        "heartbeats": {name: _plain(one, listened) for name, one in heard.items()},
    }


def restored(book: Mapping[str, Any], now: Moment) -> tuple[Moment, dict[str, Heard]]:
    """Return until when it was listened, and what was known then.

    Raises ValueError, TypeError, KeyError or OverflowError for what is no such book.
    """
    if book["version"] != VERSION:
        raise ValueError(f"it is of another version ({book['version']!r})")
    if not isinstance(book["heartbeats"], dict):
        raise TypeError("its heartbeats are no mapping")
    heard = {str(name): _heard(one, now) for name, one in book["heartbeats"].items()}
    return _moment(book["listened"], now), heard


def _plain(heard: Heard, now: Moment) -> dict[str, Any]:
    def wall(moment: Moment | None) -> float | None:
        return moment.corrected(now.wall, now.monotonic).wall if moment else None

    return {
        "since": wall(heard.since),
        "succeeded": wall(heard.succeeded),
        "started": wall(heard.started),
        "failed": wall(heard.failed),
        "status": heard.status,
        "note": heard.note,
        "took": heard.took,
    }


def _heard(plain: Mapping[str, Any], now: Moment) -> Heard:
    def moment(name: str) -> Moment | None:
        return _moment(plain[name], now) if plain[name] is not None else None

    return Heard(
        since=_moment(plain["since"], now),
        succeeded=moment("succeeded"),
        started=moment("started"),
        failed=moment("failed"),
        status=int(plain["status"]) if plain["status"] is not None else None,
        note=str(plain["note"]),
        took=float(plain["took"]) if plain["took"] is not None else None,
    )


def _moment(wall: float, now: Moment) -> Moment:
    """Read a time; one that is still to come was written before the clock was set back, and is now."""
    if not math.isfinite(wall):
        raise ValueError("a time in it is none")
    told = min(float(wall), now.wall)
    return Moment(told, now.monotonic - (now.wall - told))
