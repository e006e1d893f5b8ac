"""What people are to be told, out of the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, func, select, union_all, update

from remediator.model.incident import Outcome, Stage, State
from remediator.model.news import Asked, Last, Seen, Try
from remediator.store.approvals import WAITING
from remediator.store.schema import APPROVALS, ATTEMPTS, DECISIONS, INCIDENTS

_COLUMNS = ("id", "site", "state", "opened_at", "outage", "closed_at", "outcome", "told")


def seen(connection: Connection, ended_after: float, limit: int) -> list[Seen]:
    """Return the incidents that there may be something to tell of: those that are open, and just ended.

    What ended before that, Alertmanager has ended by itself.
    """
    attempts, questions, decisions = (
        _attempts(connection, ended_after), _questions(connection), _decisions(connection)
    )  # fmt: skip
    columns = [INCIDENTS.c[name] for name in _COLUMNS]
    query = select(*columns).where(INCIDENTS.c.id.in_(_ids(ended_after)))
    rows = connection.execute(query.order_by(INCIDENTS.c.id).limit(limit))
    return [
        Seen(
            id=row.id,
            site=row.site,
            state=State(row.state),
            opened_at=row.opened_at,
            outage=row.outage,
            closed_at=row.closed_at,
            outcome=Outcome(row.outcome) if row.outcome else None,
            told=row.told,
            attempts=tuple(attempts.get(row.id, ())),
            question=questions.get(row.id),
            decision=decisions.get(row.id),
        )
        for row in rows
    ]


def last_decision(connection: Connection, incident_id: int) -> dict[str, Any] | None:
    """Return the decision that stands of an incident."""
    query = select(DECISIONS).where(DECISIONS.c.incident_id == incident_id)
    row = connection.execute(query.order_by(DECISIONS.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else dict(row._mapping)


def mark_told(connection: Connection, changes: Sequence[tuple[int, str, str]]) -> None:
    """Note of each incident what Alertmanager has now, `(id, was, told)`, unless it has changed since."""
    for incident_id, was, told in changes:
        where = (INCIDENTS.c.id == incident_id, INCIDENTS.c.told == was)
        connection.execute(update(INCIDENTS).where(*where).values(told=told))


def _attempts(connection: Connection, ended_after: float) -> dict[int, list[Try]]:
    columns = ("id", "incident_id", "stage", "created_at", "finished_at")
    query = select(*(ATTEMPTS.c[name] for name in columns)).where(
        ATTEMPTS.c.incident_id.in_(_ids(ended_after))
    )
    found: dict[int, list[Try]] = {}
    for row in connection.execute(query.order_by(ATTEMPTS.c.id)):
        one = Try(row.id, Stage(row.stage), row.created_at, row.finished_at)
        found.setdefault(row.incident_id, []).append(one)
    return found


def _questions(connection: Connection) -> dict[int, Asked]:
    query = (
        select(APPROVALS.c.incident_id, APPROVALS.c.id, APPROVALS.c.asked_at)
        .join(INCIDENTS, INCIDENTS.c.id == APPROVALS.c.incident_id)
        .where(*WAITING)
        .order_by(APPROVALS.c.id)
    )
    return {row.incident_id: Asked(row.id, row.asked_at) for row in connection.execute(query)}


def _decisions(connection: Connection) -> dict[int, Last]:
    """Return the decision that stands of each open incident that is not with a human."""
    states = (State.OPEN, State.OBSERVING, State.AWAITING_APPROVAL)
    waiting = select(INCIDENTS.c.id).where(INCIDENTS.c.closed_at.is_(None), INCIDENTS.c.state.in_(states))
    newest = (
        select(func.max(DECISIONS.c.id).label("id"))
        .where(DECISIONS.c.incident_id.in_(waiting))
        .group_by(DECISIONS.c.incident_id)
        .subquery()
    )
    columns = ("id", "incident_id", "time", "verb", "reason")
    query = select(*(DECISIONS.c[name] for name in columns)).join(newest, newest.c.id == DECISIONS.c.id)
    return {
        row.incident_id: Last(row.id, row.time, row.verb, row.reason) for row in connection.execute(query)
    }


def _ids(ended_after: float) -> CompoundSelect[tuple[int]]:
    ids = select(INCIDENTS.c.id)  # asked twice: with OR, all rows would be read
    return union_all(
        ids.where(INCIDENTS.c.closed_at.is_(None)), ids.where(INCIDENTS.c.closed_at > ended_after)
    )
