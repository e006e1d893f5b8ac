"""Since when sites are watched. Every function works inside a transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, insert, select

from remediator.store.schema import WATCHED

_CHUNK = 500


def watched_since(connection: Connection, sites: Iterable[str]) -> dict[str, float]:
    """Return since when (Unix) these sites are watched; one that has just come has none yet."""
    names = sorted(set(sites))
    found: dict[str, float] = {}
    for start in range(0, len(names), _CHUNK):
        query = select(WATCHED).where(WATCHED.c.site.in_(names[start : start + _CHUNK]))
        found.update((row.site, row.since) for row in connection.execute(query))
    return found


def differs(connection: Connection, sites: Collection[str]) -> bool:
    """Tell whether sites have come or gone since they were last noted."""
    return set(connection.scalars(select(WATCHED.c.site))) != set(sites)


def note_watched(connection: Connection, sites: Collection[str], now: float) -> None:
    """Note which sites are watched: those that have come, from now on; those that have gone, no more."""
    known = set(connection.scalars(select(WATCHED.c.site)))
    gone, come = sorted(known - set(sites)), sorted(set(sites) - known)
    for start in range(0, len(gone), _CHUNK):
        connection.execute(delete(WATCHED).where(WATCHED.c.site.in_(gone[start : start + _CHUNK])))
    if come:
        connection.execute(insert(WATCHED), [{"site": name, "since": now} for name in come])
