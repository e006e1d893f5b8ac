"""The tables, and how an older database becomes a newer one. Times are unix seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from remediator.errors import StoreUnusableError
from remediator.store.append_only import forbid_changes

METADATA = MetaData()

META = Table(
    "meta",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Integer, nullable=False),
)
"""Counters: `schema_version`, and `epoch`, which every claim and every pause raises."""

NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("received_at", Float, nullable=False, index=True),
    Column("group_key", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("truncated", Integer, nullable=False),
    Column("unknown_sites", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("closed_at", Float),
    Column("outcome", Text),
    Column("reason", Text),
    Column("detail", Text, nullable=False, default=""),
    Column("failing_since", Float),
    Column("alert_status", Text, nullable=False, default="firing"),
    Column("passes", Integer, nullable=False, default=0),
    Column("passed_at", Float),
    Column("probe_reason", Text),
    Column("look", JSON),
    Column("decided", Text, nullable=False, default=""),
    Column("next_at", Float),
    Column("told", Text, nullable=False, default=""),
    Column("outage", Text, nullable=False, default=""),
    Column("mailed", Text, nullable=False, default=""),
    Column("mailed_at", Float),
    Column("alert", Text, nullable=False, default="SiteDown"),
    Index("incidents_open", "closed_at", "state"),
    Index("incidents_of_site", "site", "opened_at"),
)
_open_only = INCIDENTS.c.closed_at.is_(None)
Index(
    "one_open_incident", INCIDENTS.c.site, unique=True, sqlite_where=_open_only, postgresql_where=_open_only
)
BY_MAILED = Index("incidents_by_mailed", INCIDENTS.c.mailed)
BY_END = Index("incidents_by_end", INCIDENTS.c.site, INCIDENTS.c.closed_at)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("time", Float, nullable=False),
    Column("verb", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("action", Text),
    Column("numbers", JSON, nullable=False),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("site", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("stage_at", Float, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("acted_at", Float),
    Column("finished_at", Float),
    Column("reason", Text),
    Column("detail", Text, nullable=False, default=""),
    Column("permanent", Boolean, nullable=False, default=False),
    Column("passes", Integer, nullable=False, default=0),
    Column("marks", JSON, nullable=False),
    Column("evidence", JSON),
    Index("attempts_of_site", "site", "created_at"),
    Index("attempts_of_server", "server", "created_at"),
)
_unfinished = ATTEMPTS.c.finished_at.is_(None)
Index(
    "one_attempt_of_incident",
    ATTEMPTS.c.incident_id,
    unique=True,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)

ATTEMPTS_BY_END = (
    Index("attempts_by_end_on_site", ATTEMPTS.c.site, ATTEMPTS.c.finished_at),
    Index("attempts_by_end_on_server", ATTEMPTS.c.server, ATTEMPTS.c.finished_at),
)
"""What ended lately on a site or a server is asked at each look: not by reading all there ever was."""

LEASES = Table(
    "leases",
    METADATA,
    Column("server", Text, primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("attempt_id", Integer),
)

PAUSES = Table(
    "pauses",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("step", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("answer", Text),
    Column("answered_by", Text, nullable=False, default=""),
    Column("answered_at", Float),
    Column("expires_at", Float),
)

WATCHED = Table(
    "watched",
    METADATA,
    Column("site", Text, primary_key=True),
    Column("since", Float, nullable=False),
)
"""Since when a site stands in sites.yml, as far as this database knows: nobody can say how it was before."""

STORMS = Table(
    "storms",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("since", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
"""One row: the last storm."""

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("incident_id", ForeignKey("incidents.id"), index=True),
    Column("attempt_id", Integer),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
)
"""The timeline and audit trail: only ever inserted into, see store_append_only.py."""

MAIL_FLOW = Table(
    "mail_flow",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("looked_at", Float, nullable=False),
    Column("flow", JSON, nullable=False),
)
"""One row: what was seen of Alertmanager's mails, see mail_flow.py."""


def _watch_mails(connection: Connection) -> None:
    """Turn version 1 into 2: incidents know their outage, and whether people were mailed."""
    for column in ("outage TEXT NOT NULL DEFAULT ''", "mailed TEXT NOT NULL DEFAULT ''"):
        connection.execute(text(f"ALTER TABLE incidents ADD COLUMN {column}"))
    kind = Float().compile(connection.dialect)
    connection.execute(text(f"ALTER TABLE incidents ADD COLUMN mailed_at {kind}"))
    BY_MAILED.create(connection)
    MAIL_FLOW.create(connection)


def _ask_people(connection: Connection) -> None:
    """Turn version 2 into 3: approvals, storms, and pauses that end by themselves."""
    kind = Float().compile(connection.dialect)
    connection.execute(text(f"ALTER TABLE pauses ADD COLUMN until {kind}"))
    APPROVALS.create(connection)
    STORMS.create(connection)
    forbid_changes(connection)


def _hear_of_containers(connection: Connection) -> None:
    """Turn version 3 into 4: incidents know which alert they stand on."""
    connection.execute(text("ALTER TABLE incidents ADD COLUMN alert TEXT NOT NULL DEFAULT 'SiteDown'"))


def _find_what_ended(connection: Connection) -> None:
    """Turn version 4 into 5: what ended lately is found without reading the whole history."""
    for index in (BY_END, *ATTEMPTS_BY_END):
        index.create(connection, checkfirst=True)


def _know_since_when(connection: Connection) -> None:
    """Turn version 5 into 6: what was watched before is known from its first incident."""
    WATCHED.create(connection)
    first = select(INCIDENTS.c.site, func.min(INCIDENTS.c.opened_at)).group_by(INCIDENTS.c.site)
    connection.execute(insert(WATCHED).from_select(["site", "since"], first))


MIGRATIONS: Sequence[Callable[[Connection], None]] = (
    _watch_mails, _ask_people, _hear_of_containers, _find_what_ended, _know_since_when
)  # fmt: skip
"""The n-th turns version n into n + 1. A new database is made at the newest version at once."""
VERSION = len(MIGRATIONS) + 1


def migrate(connection: Connection) -> None:
    """Bring the database to this program's version; raise StoreUnusableError for a newer one."""
    version = 0
    if inspect(connection).has_table(META.name):
        version = connection.scalar(select(META.c.value).where(META.c.name == "schema_version")) or 0
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreUnusableError(
            f"the database has schema version {version}, this Sitemedic knows {VERSION}: "
            "run the newer Sitemedic, or give another --storage.url"
        )
    if version == 0:
        METADATA.create_all(connection)
        forbid_changes(connection)
        connection.execute(insert(META).values(name="epoch", value=0))
        connection.execute(insert(META).values(name="schema_version", value=VERSION))
        return
    for step in MIGRATIONS[version - 1 :]:
        step(connection)
    connection.execute(update(META).where(META.c.name == "schema_version").values(value=VERSION))
