"""The last storm in the database. Every function works inside a transaction that the caller opened."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from remediator.model.holds import Storm
from remediator.store.database import record
from remediator.store.schema import STORMS

_LAST = select(STORMS).where(STORMS.c.id == 1)
GAP = 300.0
"""Seconds without a sign of it after which a storm is a new one."""


def last_storm(connection: Connection) -> Storm | None:
    """Return the last storm."""
    row = connection.execute(_LAST).one_or_none()
    return None if row is None else Storm(row.since, row.seen_at, row.reason, row.detail)


def note_storm(connection: Connection, reason: str, detail: str, now: float) -> bool:
    """Note that a storm is seen now; tell whether it is a new one."""
    last = last_storm(connection)
    new = last is None or not 0 <= now - last.seen_at <= GAP
    values = {"seen_at": now, "reason": reason, "detail": detail[:2000]}
    if last is None:
        connection.execute(insert(STORMS).values(id=1, since=now, **values))
    else:
        since = now if new else last.since
        connection.execute(update(STORMS).where(STORMS.c.id == 1).values(since=since, **values))
    if new:
        record(connection, now, "storm", f"nothing is touched: {detail}")
    return new
