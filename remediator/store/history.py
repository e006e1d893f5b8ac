"""The audit trail read out of the database, for people and for their tools: `./sitemedic history`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, or_, select

from remediator.store.database import Store, timeline
from remediator.store.schema import APPROVALS, ATTEMPTS, DECISIONS, EVENTS, INCIDENTS

PIECE = 100
"""Incidents read in one transaction: what the reader does in between holds nothing up."""
WITHIN = 30.0
_OF_AN_INCIDENT = {"decisions": DECISIONS, "attempts": ATTEMPTS, "approvals": APPROVALS}


def history(
    store: Store, since: float | None = None, site: str | None = None, log_lines: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield `{"incident": …}` and, of no incident, `{"event": …}`, oldest first; raise StoreError.

    An incident comes with its timeline, decisions, attempts and approvals. Given `since`, it is told where
    it was still open then or later. The container's log lines are left out unless asked for.
    """
    with store.read(WITHIN) as connection:
        keys = sorted(_keys(connection, since, site))
    for start in range(0, len(keys), PIECE):
        with store.read(WITHIN) as connection:
            found = [_one(connection, kind, number) for _, kind, number in keys[start : start + PIECE]]
        yield from found if log_lines else map(without_log_lines, found)


def without_log_lines(value: Any) -> Any:
    """Return the same without what containers logged: that may hold anything."""
    if isinstance(value, dict):
        return {key: without_log_lines(part) for key, part in value.items() if key != "log_tail"}
    if isinstance(value, list):
        return [without_log_lines(part) for part in value]
    return value


def _keys(connection: Connection, since: float | None, site: str | None) -> Iterator[tuple[float, str, int]]:
    incidents = select(INCIDENTS.c.opened_at, INCIDENTS.c.id)
    if since is not None:
        incidents = incidents.where(or_(INCIDENTS.c.closed_at.is_(None), INCIDENTS.c.closed_at >= since))
    if site is not None:
        incidents = incidents.where(INCIDENTS.c.site == site)
    for time, number in connection.execute(incidents):
        yield time, "incident", number
    if site is None:
        events = select(EVENTS.c.time, EVENTS.c.id).where(EVENTS.c.incident_id.is_(None))
        if since is not None:
            events = events.where(EVENTS.c.time >= since)
        for time, number in connection.execute(events):
            yield time, "event", number


def _one(connection: Connection, kind: str, number: int) -> dict[str, Any]:
    table = INCIDENTS if kind == "incident" else EVENTS
    found = dict(connection.execute(select(table).where(table.c.id == number)).one()._mapping)
    if kind == "incident":
        found["timeline"] = timeline(connection, number)
        for name, of_it in _OF_AN_INCIDENT.items():
            query = select(of_it).where(of_it.c.incident_id == number).order_by(of_it.c.id)
            found[name] = [dict(row._mapping) for row in connection.execute(query)]
    return {kind: found}
