"""Which of several remediators on one database works: one at a time, and the others take over from it.

The one that leads holds a lease, which its reconciler renews as its rounds come to their end. Every
transaction of its workers asks first whether it still does, so that one that hung, or was cut off, writes
nothing any more once another one leads. On SQLite there is one remediator only: it leads always.

    NotLeadingError     another remediator leads: nothing was written
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection

from core.logs import fields
from remediator.clock import since_boot
from remediator.errors import StoreError
from remediator.store import attempts as store_attempts
from remediator.store.clock import DatabaseClock
from remediator.store.database import Store

log = logging.getLogger(__name__)
SEAT = "(reconciler)"
"""The lease's name; no server can have it."""


class NotLeadingError(StoreError):
    """Another remediator leads."""


class Lead(Protocol):
    """Says whether this remediator works."""

    def held(self) -> bool:
        """Take the lead or keep it, where that can be; raise StoreError where the database is away."""

    def resign(self) -> None:
        """Give the lead back at a clean stop."""

    @property
    def leads(self) -> bool:
        """Tell what `held` said last."""

    @property
    def patience(self) -> float:
        """Return the seconds until one that does not lead asks again."""


class Alone:
    """The only remediator of its database."""

    patience = 1.0
    leads = True

    def held(self) -> bool:
        """Return True."""
        return True

    def resign(self) -> None:
        """Do nothing."""


class Leadership:
    """One of several remediators."""

    def __init__(
        self, store: Store, owner: str, ttl: float, clock: DatabaseClock, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._owner = owner
        self._ttl = ttl
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self.leads = False
        self._asked_at = -1e9
        self.patience = ttl / 4
        store.guard = self._check

    def held(self) -> bool:
        """Take the lead or keep it, where that can be; raise StoreError where the database is away."""
        with self._lock:
            if since_boot() - self._asked_at < self.patience:
                return self.leads
            led, self.leads = self.leads, False
            with self._store.write() as connection:
                self._clock.ask(connection)
                leads = self._take(connection)
            self.leads, self._asked_at = leads, since_boot()
        if leads and not led:
            log.info("this remediator leads", extra=fields(owner=self._owner))
        elif led and not leads:
            log.warning("another remediator leads by now", extra=fields(owner=self._owner))
        return leads

    def resign(self) -> None:
        """Give the lead back at a clean stop; raise StoreError."""
        with self._lock, self._store.write() as connection:
            lease = store_attempts.lease_of(connection, SEAT)
            if lease is not None and lease.owner == self._owner:
                store_attempts.release(connection, SEAT, self._owner, lease.fence, self._now())
            self.leads = False

    def _take(self, connection: Connection) -> bool:
        now = self._now()
        lease = store_attempts.lease_of(connection, SEAT)
        if lease is not None and lease.owner == self._owner and lease.expires_at > now:
            store_attempts.renew(connection, self._owner, (SEAT,), now, self._ttl)
            return True
        return store_attempts.take_lease(connection, SEAT, self._owner, now, self._ttl) is not None

    def _check(self, connection: Connection) -> None:
        """Raise NotLeadingError inside a worker's transaction, unless it may write."""
        lease = store_attempts.lease_of(connection, SEAT)
        if lease is None or lease.owner != self._owner or lease.expires_at <= self._now():
            raise NotLeadingError("another remediator leads, or may by now: nothing was written")
