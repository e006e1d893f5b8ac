"""The database: transactions, notifications, pauses and the timeline. Times are unix seconds.

What concerns incidents is in incidents.py beside it, attempts and leases in attempts.py: functions that take
the connection of a transaction opened here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, CursorResult, Insert, delete, event, insert, select, update
from sqlalchemy.exc import IntegrityError

from remediator.errors import StoreError
from remediator.model.action import JSON
from remediator.model.holds import Pause
from remediator.store.engine import BUSY_TIMEOUT, checkpoint, is_shared, open_engine, reading, writing
from remediator.store.schema import DECISIONS, EVENTS, META, NOTIFICATIONS, PAUSES, migrate
from remediator.store.turns import Turns

WRITER_PATIENCE = 0.55
"""Seconds that a writing transaction waits for another one of this process."""
ANSWER_WITHIN = 0.8
"""Seconds that a request waits for the database in all; a worker waits longer for its turn."""
PREPARED_WITHIN = 10.0
GIVE_WAY = 0.1
"""Seconds at most that a worker waits until no notification is being taken in, for each transaction."""
# Made once: each look, and each notification, asks them.
_EPOCH = select(META.c.value).where(META.c.name == "epoch")
_PAUSES = select(PAUSES).order_by(PAUSES.c.since)
_ADD_NOTIFICATION = insert(NOTIFICATIONS)
_RECORD = insert(EVENTS)


class Store:
    """One database; safe to use from many threads. Every error of it is a StoreError.

    A `guest` reads it beside the remediator that it belongs to.
    """

    def __init__(
        self,
        url: str,
        busy_timeout: float = BUSY_TIMEOUT,
        patience: float = WRITER_PATIENCE,
        guest: bool = False,
    ) -> None:
        self._engine = open_engine(url, busy_timeout, guest)
        self._writer = Turns()
        self._counting = threading.Lock()
        self._requests = 0
        self._no_request = threading.Event()
        self._no_request.set()
        self._patience = patience
        self.shared = is_shared(self._engine)
        self.guard: Callable[[Connection], None] | None = None
        event.listen(self._engine, "before_cursor_execute", self._give_way_between)

    def prepare(self) -> None:
        """Make or migrate the tables."""
        with self.write(within=PREPARED_WITHIN) as connection:
            migrate(connection)

    @contextmanager
    def first(self) -> Iterator[None]:
        """Let workers give way to what is done in the block."""
        self.begin_first()
        try:
            yield
        finally:
            self.end_first()

    def begin_first(self) -> None:
        """Let workers give way from now on, until `end_first` was called as often."""
        with self._counting:
            self._requests += 1
            self._no_request.clear()

    def end_first(self) -> None:
        """End what `begin_first` began."""
        with self._counting:
            self._requests -= 1
            if self._requests == 0:
                self._no_request.set()

    def give_way(self, at_most: float = GIVE_WAY) -> None:
        """Wait until nothing that comes first is under way, but not for longer than that."""
        self._no_request.wait(at_most)

    def _give_way_between(self, connection: Connection, *_: object) -> None:
        """Wait before a statement that only reads: who writes is waited for himself."""
        until: float | None = connection.get_execution_options().get("gives_way_until")
        if until is not None and not self._no_request.is_set():
            self.give_way(max(0.0, until - time.monotonic()))

    @contextmanager
    def read(self, within: float = ANSWER_WITHIN) -> Iterator[Connection]:
        """Open a transaction that reads one consistent state.

        It gives way to what comes first before each of its statements, but for `GIVE_WAY` in all.
        """
        until = time.monotonic() + GIVE_WAY
        self.give_way()
        with reading(self._engine, within) as connection:
            connection.execution_options(gives_way_until=until)
            yield connection

    @contextmanager
    def write(
        self, patience: float | None = None, within: float = ANSWER_WITHIN, lasting: bool = True
    ) -> Iterator[Connection]:
        """Open the one writing transaction; it commits at the end, or not at all.

        A request gives no `patience`: it goes first, and soon gives up. A worker gives some, and gives
        way. Raises StoreError when another writer has it for longer than that. Not `lasting`: a power cut
        may take it back (never a crash of ours), unless something lasting was written after it.
        """
        asked = time.monotonic()
        taken = self._take_turn() if patience is None else self._wait_for_turn(patience)
        if not taken:
            raise StoreError("another write is under way")
        waited = time.monotonic() - asked if patience is None else 0.0
        try:
            with writing(self._engine, within - waited, lasting) as connection:
                if self.guard is not None and patience is not None:  # a worker's: does it still lead?
                    self.guard(connection)
                yield connection
        finally:
            self._writer.give_back()

    def _take_turn(self) -> bool:
        with self.first():
            return self._writer.take(self._patience, first=True)

    def _wait_for_turn(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        self.give_way(min(GIVE_WAY, patience))
        return self._writer.take(max(0.0, deadline - time.monotonic()))

    def check_writable(self) -> None:
        """Write one row and take it back; raise StoreError where that does not work."""
        with writing(self._engine, ANSWER_WITHIN) as connection:
            connection.execute(update(META).where(META.c.name == "epoch").values(value=META.c.value))
            connection.rollback()

    def tidy(self) -> None:
        """Do now and then what would else keep a write waiting."""
        checkpoint(self._engine)

    def close(self) -> None:
        """Close every connection; one that a thread still uses, once that gives it back."""
        pool = self._engine.pool
        self._engine.dispose()  # another pool takes its place
        event.listen(pool, "checkin", _end)


def _end(connection: Any, _record: object) -> None:
    """Close what comes back to a pool that is no more."""
    if connection is not None:
        connection.close()


def insert_unless_there(connection: Connection, statement: Insert) -> CursorResult[Any] | None:
    """Run an INSERT; return its result, or None where a unique index says that the row is there already."""
    try:
        with connection.begin_nested():
            return connection.execute(statement)
    except IntegrityError:
        return None


def new_id(result: CursorResult[Any]) -> int:
    """Return the id of the row just inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def epoch(connection: Connection) -> int:
    """Return the number that every claim and every pause raises."""
    return int(connection.scalar(_EPOCH) or 0)


def raise_epoch(connection: Connection, seen: int | None = None) -> bool:
    """Raise the epoch, only from `seen` where given; tell whether it was so."""
    statement = update(META).where(META.c.name == "epoch").values(value=META.c.value + 1)
    if seen is not None:
        statement = statement.where(META.c.value == seen)
    return connection.execute(statement).rowcount == 1


def add_notification(connection: Connection, **values: object) -> int:
    """Store one notification as it came; return its id."""
    return new_id(connection.execute(_ADD_NOTIFICATION, values))


def record(
    connection: Connection,
    time: float,
    kind: str,
    text: str,
    incident_id: int | None = None,
    attempt_id: int | None = None,
    data: Mapping[str, JSON] | None = None,
) -> None:
    """Add one line to the timeline."""
    values = {
        "time": time,
        "kind": kind,
        "text": text[:2000],
        "incident_id": incident_id,
        "attempt_id": attempt_id,
        "data": dict(data or {}),
    }
    connection.execute(_RECORD, values)


def timeline(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """Return an incident's events, oldest first; no text repeats its kind, as older Sitemedics' looks did."""
    query = select(EVENTS).where(EVENTS.c.incident_id == incident_id).order_by(EVENTS.c.id)
    found = [dict(row._mapping) for row in connection.execute(query)]
    return [one | {"text": one["text"].removeprefix(f"{one['kind']}: ")} for one in found]


def decisions(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """Return an incident's decisions with their numbers, oldest first."""
    query = select(DECISIONS).where(DECISIONS.c.incident_id == incident_id).order_by(DECISIONS.c.id)
    return [dict(row._mapping) for row in connection.execute(query)]


def pauses(connection: Connection) -> tuple[Pause, ...]:
    """Return every pause in force, oldest first."""
    found = connection.execute(_PAUSES)
    return tuple(Pause(row.scope, row.paused_by, row.reason, row.since, row.until) for row in found)


def add_pause(connection: Connection, pause: Pause) -> bool:
    """Pause a scope; tell whether that was news. Claims decided on before it fail."""
    raise_epoch(connection)
    taken_back = connection.execute(delete(PAUSES).where(PAUSES.c.scope == pause.scope)).rowcount
    connection.execute(
        insert(PAUSES).values(
            scope=pause.scope, paused_by=pause.by, reason=pause.reason, since=pause.since, until=pause.until
        )
    )
    text = f"{pause.scope} paused by {pause.by or 'somebody'}: {pause.reason or 'no reason given'}"
    record(connection, pause.since, "paused", text)
    return taken_back == 0


def remove_pause(connection: Connection, scope: str, by: str, now: float) -> bool:
    """End a pause; tell whether there was one."""
    found = connection.execute(delete(PAUSES).where(PAUSES.c.scope == scope)).rowcount > 0
    if found:
        record(connection, now, "resumed", f"{scope} resumed by {by or 'somebody'}")
    return found


def forget_notifications(connection: Connection, before: float) -> int:
    """Delete notifications received before a time; return how many."""
    return connection.execute(delete(NOTIFICATIONS).where(NOTIFICATIONS.c.received_at < before)).rowcount
