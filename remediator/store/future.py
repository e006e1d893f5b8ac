"""Rows from the future: the clock was wrong when they were written, or is now."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from remediator.model.mail_flow import Mailed
from remediator.store.database import record
from remediator.store.schema import ATTEMPTS, INCIDENTS, LEASES, MAIL_FLOW, STORMS, WATCHED

TOLERANCE = 300.0
"""Seconds that another remediator's clock may be ahead of ours."""


def bring_back(connection: Connection, now: float, lease_ttl: float) -> int:
    """Date what is dated later than now as of now; return how many rows. Else they would hold for years.

    An attempt still counts for its whole budget and cooldown, from now on; a lease for its whole length.
    What was seen of mails is forgotten.
    """
    latest = now + TOLERANCE
    found = connection.execute(
        update(LEASES).where(LEASES.c.expires_at > latest + lease_ttl).values(expires_at=now + lease_ttl)
    ).rowcount
    times = [ATTEMPTS.c[name] for name in ("created_at", "stage_at", "next_at", "acted_at", "finished_at")]
    for column in times:
        late = update(ATTEMPTS).where(column > latest)
        found += connection.execute(late.values({column: now})).rowcount
    passed = update(INCIDENTS).where(INCIDENTS.c.passed_at > latest, INCIDENTS.c.closed_at.is_(None))
    found += connection.execute(passed.values(passed_at=None, passes=0)).rowcount
    stormy = update(STORMS).where(STORMS.c.seen_at > latest)
    found += connection.execute(stormy.values(since=now, seen_at=now)).rowcount
    watched = update(WATCHED).where(WATCHED.c.since > latest)
    found += connection.execute(watched.values(since=now)).rowcount
    found += connection.execute(delete(MAIL_FLOW).where(MAIL_FLOW.c.looked_at > latest)).rowcount
    posted = update(INCIDENTS).where(INCIDENTS.c.mailed_at > latest, INCIDENTS.c.mailed == Mailed.UNTOLD)
    found += connection.execute(posted.values(mailed_at=now)).rowcount
    if found:
        record(connection, now, "clock", f"{found} times from the future were set to now")
    return found
