"""What the console's pages ask of the database. Every function works inside a transaction of the caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, case, func, or_, select

from remediator.model.incident import SITE_DOWN, Incident, Outcome, State
from remediator.model.outages import Outage
from remediator.store.approvals import WAITING
from remediator.store.incidents import incident_of
from remediator.store.schema import APPROVALS, DECISIONS, INCIDENTS

_CHUNK = 500
URGENT = (State.AWAITING_APPROVAL, State.NEEDS_HUMAN)
"""What waits for a person comes first."""


def outages(connection: Connection, sites: Iterable[str], since: float) -> dict[str, list[Outage]]:
    """Return the outages of these sites that last, or ended since then, oldest first.

    None is that of a container alone, in which no probe of the site ever failed; nor what a late alert told.
    """
    names = list(sites)
    found: dict[str, list[Outage]] = defaultdict(list)
    columns = (INCIDENTS.c.id, INCIDENTS.c.site, INCIDENTS.c.opened_at, INCIDENTS.c.closed_at)
    for start in range(0, len(names), _CHUNK):
        query = select(*columns, INCIDENTS.c.failing_since).where(
            INCIDENTS.c.site.in_(names[start : start + _CHUNK]),
            or_(INCIDENTS.c.alert == SITE_DOWN, INCIDENTS.c.probe_reason.is_not(None)),
            or_(INCIDENTS.c.closed_at.is_(None), INCIDENTS.c.closed_at >= since),
            func.coalesce(INCIDENTS.c.outcome, "") != Outcome.ALREADY_OVER,
        )
        for row in connection.execute(query.order_by(INCIDENTS.c.id)):
            began = min(row.failing_since or row.opened_at, row.opened_at)
            found[row.site].append(Outage(began, row.closed_at, row.id))
    return found


def open_incidents(connection: Connection, limit: int, skip: int = 0) -> list[Incident]:
    """Return open incidents: first those that wait for a person, then the newest."""
    urgent = case((INCIDENTS.c.state.in_(URGENT), 0), else_=1)
    query = select(INCIDENTS).where(INCIDENTS.c.closed_at.is_(None)).order_by(urgent, INCIDENTS.c.id.desc())
    return [incident_of(row) for row in connection.execute(query.limit(limit).offset(skip))]


def closed_incidents(
    connection: Connection,
    limit: int,
    before: int | None = None,
    site: str = "",
    outcome: Outcome | None = None,
) -> list[Incident]:
    """Return closed incidents, the newest first: of one site, with one outcome, with smaller ids."""
    query = _of_site(select(INCIDENTS).where(INCIDENTS.c.closed_at.is_not(None)), site)
    if outcome is not None:
        query = query.where(INCIDENTS.c.outcome == outcome)
    if before is not None:
        query = query.where(INCIDENTS.c.id < before)
    return [
        incident_of(row) for row in connection.execute(query.order_by(INCIDENTS.c.id.desc()).limit(limit))
    ]


def of_site(connection: Connection, site: str, limit: int) -> list[Incident]:
    """Return a site's newest incidents, open or closed."""
    query = _of_site(select(INCIDENTS), site).order_by(INCIDENTS.c.id.desc()).limit(limit)
    return [incident_of(row) for row in connection.execute(query)]


def last_decisions(connection: Connection, incidents: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the last decision of each of these incidents that has one."""
    last = (
        select(func.max(DECISIONS.c.id))
        .where(DECISIONS.c.incident_id.in_(list(incidents)))
        .group_by(DECISIONS.c.incident_id)
    )
    query = select(DECISIONS).where(DECISIONS.c.id.in_(last))
    return {row.incident_id: dict(row._mapping) for row in connection.execute(query)}


def waiting_questions(connection: Connection) -> int:
    """Count the open questions to people."""
    query = (
        select(func.count())
        .select_from(APPROVALS.join(INCIDENTS, INCIDENTS.c.id == APPROVALS.c.incident_id))
        .where(*WAITING)
    )
    return connection.scalar(query) or 0


def _of_site(query: Select[Any], site: str) -> Select[Any]:
    return query.where(INCIDENTS.c.site == site) if site else query
