"""Attempts and leases in the database. Every function works inside a transaction that the caller opened.

Every write to an attempt is fenced: it succeeds only while its owner holds the server's lease under the
attempt's number, else LeaseLostError; a holder whose lease has gone can change nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from remediator.errors import LeaseLostError
from remediator.model.action import JSON
from remediator.model.incident import UNFINISHED, Attempt, Lease, Stage
from remediator.store.database import insert_unless_there, new_id
from remediator.store.schema import ATTEMPTS, LEASES

# Made once: every look at an incident asks them.
_COLUMNS = tuple(column for column in ATTEMPTS.c if column.name != "evidence")
_LEASE_OF = select(LEASES).where(LEASES.c.server == bindparam("server"))
_IN_FLIGHT = select(ATTEMPTS.c.site).where(
    ATTEMPTS.c.finished_at.is_(None),  # an index of those alone
    ATTEMPTS.c.stage.in_(sorted(UNFINISHED)),
)
_NEAR = tuple(
    and_(where == bindparam(where.name), when >= bindparam("since"))
    for where in (ATTEMPTS.c.site, ATTEMPTS.c.server)
    for when in (ATTEMPTS.c.created_at, ATTEMPTS.c.finished_at)
)  # four, since each finds its own index: one for all would read every attempt there ever was
_HISTORY = (
    select(*_COLUMNS)
    .where(or_(ATTEMPTS.c.incident_id == bindparam("incident"), *_NEAR))
    .order_by(ATTEMPTS.c.id)
)


def lease_of(connection: Connection, server: str) -> Lease | None:
    """Return the lease on a server, run out or not."""
    row = connection.execute(_LEASE_OF, {"server": server}).one_or_none()
    return None if row is None else Lease(**row._mapping)


def take_lease(
    connection: Connection, server: str, owner: str, now: float, ttl: float, attempt_id: int | None = None
) -> int | None:
    """Take a server's lease where it is free; return its new number, or None where it is not."""
    new = insert(LEASES).values(
        server=server, owner=owner, fence=1, expires_at=now + ttl, attempt_id=attempt_id
    )
    lease = lease_of(connection, server)
    if lease is None:
        return 1 if insert_unless_there(connection, new) is not None else None
    if lease.expires_at > now:
        return None
    taken = connection.execute(
        update(LEASES)
        .where(LEASES.c.server == server, LEASES.c.fence == lease.fence, LEASES.c.expires_at <= now)
        .values(owner=owner, fence=lease.fence + 1, expires_at=now + ttl, attempt_id=attempt_id)
    )
    return lease.fence + 1 if taken.rowcount == 1 else None


def renew(connection: Connection, owner: str, servers: Collection[str], now: float, ttl: float) -> None:
    """Lengthen the leases that `owner` still holds."""
    connection.execute(
        update(LEASES)
        .where(LEASES.c.owner == owner, LEASES.c.server.in_(sorted(servers)), LEASES.c.expires_at > now)
        .values(expires_at=now + ttl)
    )


def release(connection: Connection, server: str, owner: str, fence: int, now: float) -> None:
    """Give a lease back; its number stays, so that the next one is higher."""
    where = (LEASES.c.server == server, LEASES.c.owner == owner, LEASES.c.fence == fence)
    connection.execute(update(LEASES).where(*where).values(expires_at=now, attempt_id=None))


def add(connection: Connection, attempt: Mapping[str, Any]) -> int:
    """Insert the row of a new attempt; return its id. IntegrityError where the incident has one under way."""
    return new_id(connection.execute(insert(ATTEMPTS).values(**attempt)))


def assign(connection: Connection, attempt_id: int, server: str) -> None:
    """Name the attempt that a lease is for."""
    connection.execute(update(LEASES).where(LEASES.c.server == server).values(attempt_id=attempt_id))


def adopt(connection: Connection, attempt: Attempt, fence: int, now: float) -> bool:
    """Put an unfinished attempt under a new lease's number; tell whether it was still the one seen."""
    where = (
        ATTEMPTS.c.id == attempt.id,
        ATTEMPTS.c.fence == attempt.fence,
        ATTEMPTS.c.finished_at.is_(None),
    )
    done = connection.execute(update(ATTEMPTS).where(*where).values(fence=fence, next_at=now))
    return done.rowcount == 1


def write(
    connection: Connection, attempt: Attempt, owner: str, now: float, ttl: float, **values: Any
) -> None:
    """Write to an attempt under its lease, which is renewed by `ttl`; raise LeaseLostError without it."""
    held = connection.execute(
        update(LEASES)
        .where(
            LEASES.c.server == attempt.server,
            LEASES.c.owner == owner,
            LEASES.c.fence == attempt.fence,
            LEASES.c.expires_at > now,
        )
        .values(expires_at=now + ttl)
    )
    if held.rowcount != 1:
        raise LeaseLostError(f"the lease on {attempt.server} has gone")
    where = (
        ATTEMPTS.c.id == attempt.id,
        ATTEMPTS.c.fence == attempt.fence,
        ATTEMPTS.c.finished_at.is_(None),
    )
    if connection.execute(update(ATTEMPTS).where(*where).values(**values)).rowcount != 1:
        raise LeaseLostError(f"attempt {attempt.id} was taken over")


def get(connection: Connection, attempt_id: int) -> Attempt | None:
    """Return one attempt."""
    row = connection.execute(select(*_COLUMNS).where(ATTEMPTS.c.id == attempt_id)).one_or_none()
    return None if row is None else _attempt(row)


def unfinished(connection: Connection) -> list[tuple[Attempt, Lease | None]]:
    """Return every attempt without a verdict, with its server's lease."""
    query = select(*_COLUMNS).where(ATTEMPTS.c.finished_at.is_(None)).order_by(ATTEMPTS.c.next_at)
    attempts = [_attempt(row) for row in connection.execute(query)]
    leases = {row.server: Lease(**row._mapping) for row in connection.execute(select(LEASES))}
    return [(one, leases.get(one.server)) for one in attempts]


def history(
    connection: Connection, incident_id: int, site: str, server: str | None, since: float
) -> tuple[Attempt, ...]:
    """Return this incident's attempts, and those since a time on its site or server, oldest first."""
    values = {"incident": incident_id, "site": site, "server": server, "since": since}
    return tuple(_attempt(row) for row in connection.execute(_HISTORY, values))


def of_incident(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """Return an incident's attempts with their evidence, oldest first."""
    query = select(ATTEMPTS).where(ATTEMPTS.c.incident_id == incident_id).order_by(ATTEMPTS.c.id)
    return [dict(row._mapping) for row in connection.execute(query)]


def in_flight(connection: Connection) -> frozenset[str]:
    """Return the sites with an attempt under way."""
    return frozenset(connection.scalars(_IN_FLIGHT))


def _attempt(row: Row[Any]) -> Attempt:
    values = dict(row._mapping)
    marks: dict[str, JSON] = values.pop("marks") or {}
    return Attempt(stage=Stage(values.pop("stage")), marks=marks, **values)
