"""Questions to people and their answers. Every function works inside a transaction that the caller opened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from remediator.model.holds import Answer, Approval
from remediator.model.incident import State
from remediator.store.database import new_id, raise_epoch, record
from remediator.store.schema import APPROVALS, INCIDENTS

_OF_INCIDENT = (
    select(APPROVALS).where(APPROVALS.c.incident_id == bindparam("incident")).order_by(APPROVALS.c.id)
)

WAITING = (
    APPROVALS.c.answer.is_(None),
    INCIDENTS.c.closed_at.is_(None),
    INCIDENTS.c.state == State.AWAITING_APPROVAL,
)
"""What holds for a question that waits for its answer, beside its incident."""


def ask(
    connection: Connection, incident_id: int, step: str, action: str, detail: str, now: float
) -> int | None:
    """Store a question unless the same one is open already; return its id where it is new.

    It takes the place of any other open question of the incident.
    """
    unanswered_here = (APPROVALS.c.incident_id == incident_id, APPROVALS.c.answer.is_(None))
    if connection.scalar(select(APPROVALS.c.id).where(*unanswered_here, APPROVALS.c.step == step)):
        return None
    withdrawn = {"answer": Answer.WITHDRAWN, "answered_at": now}
    connection.execute(update(APPROVALS).where(*unanswered_here).values(**withdrawn))
    row = {
        "incident_id": incident_id,
        "step": step,
        "action": action,
        "detail": detail[:2000],
        "asked_at": now,
    }
    number = new_id(connection.execute(insert(APPROVALS).values(**row)))
    record(connection, now, "approval_asked", f"may I {action.replace('_', ' ')}? {detail}", incident_id)
    return number


def answer(
    connection: Connection, approval_id: int, said: Answer, by: str, now: float, lasts: float
) -> Approval | None:
    """Keep a person's answer, which holds for `lasts` seconds; None where the question is not open."""
    found = get(connection, approval_id)
    if found is None or not is_open(connection, found):
        return None
    where = (APPROVALS.c.id == approval_id, APPROVALS.c.answer.is_(None))
    values = {"answer": said, "answered_by": by, "answered_at": now, "expires_at": now + lasts}
    if connection.execute(update(APPROVALS).where(*where).values(**values)).rowcount != 1:
        return None
    raise_epoch(connection)
    text = f"{found.action.replace('_', ' ')} {said} by {by}"
    record(connection, now, f"approval_{said}", text, found.incident_id)
    return get(connection, approval_id)


def is_open(connection: Connection, approval: Approval) -> bool:
    """Tell whether a question still waits for its answer: its incident waits for an approval."""
    if approval.answer is not None:
        return False
    state = connection.scalar(select(INCIDENTS.c.state).where(INCIDENTS.c.id == approval.incident_id))
    return state == State.AWAITING_APPROVAL


def get(connection: Connection, approval_id: int) -> Approval | None:
    """Return one question."""
    row = connection.execute(select(APPROVALS).where(APPROVALS.c.id == approval_id)).one_or_none()
    return None if row is None else _approval(row)


def of_incident(connection: Connection, incident_id: int) -> tuple[Approval, ...]:
    """Return an incident's questions, oldest first."""
    return tuple(_approval(row) for row in connection.execute(_OF_INCIDENT, {"incident": incident_id}))


def unanswered(connection: Connection, limit: int = 200) -> list[tuple[Approval, str]]:
    """Return the open questions with their sites, oldest first."""
    query = (
        select(APPROVALS, INCIDENTS.c.site)
        .join(INCIDENTS, INCIDENTS.c.id == APPROVALS.c.incident_id)
        .where(*WAITING)
        .order_by(APPROVALS.c.id)
        .limit(limit)
    )
    return [(_approval(row), row.site) for row in connection.execute(query)]


def _approval(row: Row[Any]) -> Approval:
    values = {column.name: row._mapping[column] for column in APPROVALS.c}
    said = values.pop("answer")
    return Approval(answer=Answer(said) if said else None, **values)
