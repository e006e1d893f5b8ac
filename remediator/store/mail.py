"""What is known about mails, in the database. Every function works inside a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from remediator.model.incident import Incident
from remediator.model.mail_flow import Absence, MailCounts, Mailed, MailFlow, Trouble
from remediator.store.database import record
from remediator.store.incidents import incident_of
from remediator.store.schema import INCIDENTS, MAIL_FLOW

_ONLY = 1
_EVENTS = {
    Mailed.UNTOLD: "nobody could be mailed about this outage",
    Mailed.TOLD_LATER: "told later, in one mail about all outages that nobody could be mailed about",
}


def flow_of(connection: Connection) -> MailFlow | None:
    """Return what was seen so far."""
    found = connection.scalar(select(MAIL_FLOW.c.flow).where(MAIL_FLOW.c.id == _ONLY))
    return None if found is None else _flow(found)


def keep_flow(connection: Connection, flow: MailFlow) -> None:
    """Keep what was seen."""
    values = {"looked_at": flow.looked_at, "flow": asdict(flow)}
    kept = connection.execute(update(MAIL_FLOW).where(MAIL_FLOW.c.id == _ONLY).values(**values))
    if kept.rowcount == 0:
        connection.execute(insert(MAIL_FLOW).values(id=_ONLY, **values))


def forget_flow(connection: Connection) -> None:
    """Forget what was seen: nobody is mailed any more, or it is dated wrongly."""
    connection.execute(delete(MAIL_FLOW))


def with_mails(connection: Connection, mailed: Mailed, limit: int = 5000) -> list[Incident]:
    """Return the incidents of which this is so, oldest first."""
    query = select(INCIDENTS).where(INCIDENTS.c.mailed == mailed).order_by(INCIDENTS.c.id).limit(limit)
    return [incident_of(row) for row in connection.execute(query)]


def mark(
    connection: Connection, incidents: Iterable[Incident], mailed: Mailed, now: float, at: float | None = None
) -> list[int]:
    """Note of incidents whether people were mailed, unless it has changed meanwhile; return those changed."""
    changed = []
    for one in incidents:
        where = (INCIDENTS.c.id == one.id, INCIDENTS.c.mailed == one.mailed)
        values: dict[str, Any] = {"mailed": mailed, "mailed_at": at}
        if connection.execute(update(INCIDENTS).where(*where).values(**values)).rowcount == 1:
            changed.append(one.id)
            if mailed in _EVENTS:
                record(connection, now, mailed, _EVENTS[mailed], one.id)
    return changed


def mark_posted(connection: Connection, incidents: Iterable[Incident], now: float) -> None:
    """Note when the digest about incidents was first posted."""
    for one in incidents:
        where = (INCIDENTS.c.id == one.id, INCIDENTS.c.mailed_at.is_(None))
        connection.execute(update(INCIDENTS).where(*where).values(mailed_at=now))


def _flow(values: dict[str, Any]) -> MailFlow:
    trouble, absence = values.pop("trouble"), values.pop("absence")
    return MailFlow(
        counts=MailCounts(**values.pop("counts")),
        trouble=Trouble(**trouble) if trouble else None,
        absence=Absence(**absence) if absence else None,
        **values,
    )
