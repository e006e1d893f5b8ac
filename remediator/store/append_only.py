"""The audit trail is only ever added to, whoever opens the database: triggers refuse all else."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

TABLES = ("events", "decisions")
"""Who did what and when, and what was decided on which numbers."""
_FUNCTION = """
CREATE OR REPLACE FUNCTION sitemedic_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is only added to', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$"""


def forbid_changes(connection: Connection, tables: Sequence[str] = TABLES) -> None:
    """Let rows of the audit trail be inserted, and never changed or deleted."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        connection.exec_driver_sql(_FUNCTION.replace("%", "%%"))
    for table in tables:
        for statement in _on_postgresql(table) if postgresql else _on_sqlite(table):
            connection.exec_driver_sql(statement)


def _on_sqlite(table: str) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
        for verb in ("update", "delete")
    )


def _on_postgresql(table: str) -> tuple[str, ...]:
    run = "EXECUTE FUNCTION sitemedic_append_only()"
    return (
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {run}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {run}",
    )
