"""Incidents in the database. Every function works inside a transaction that the caller opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, union_all, update

from remediator.model.findings import read, sentence
from remediator.model.incident import FINISHED, SITE_DOWN, Decision, Incident, Outcome, State
from remediator.model.mail_flow import Mailed
from remediator.model.seen import Look
from remediator.store.database import record
from remediator.store.schema import ATTEMPTS, DECISIONS, EVENTS, INCIDENTS

_CHUNK = 500
# Made once: each look, and each notification, asks them.
_GET = select(INCIDENTS).where(INCIDENTS.c.id == bindparam("number"))
_CHANGE = update(INCIDENTS).where(INCIDENTS.c.id == bindparam("number"), INCIDENTS.c.closed_at.is_(None))
_OPEN_SITES = select(INCIDENTS.c.site, INCIDENTS.c.id).where(
    INCIDENTS.c.closed_at.is_(None), INCIDENTS.c.site.in_(bindparam("sites", expanding=True))
)
_LAST_ENDED = (
    select(func.max(INCIDENTS.c.id))
    .where(
        INCIDENTS.c.site.in_(bindparam("sites", expanding=True)),
        INCIDENTS.c.closed_at > bindparam("after"),
        INCIDENTS.c.outcome != bindparam("but"),
    )
    .group_by(INCIDENTS.c.site)
)
_ENDED = select(INCIDENTS.c.site, INCIDENTS.c.id, INCIDENTS.c.state, INCIDENTS.c.closed_at).where(
    INCIDENTS.c.id.in_(_LAST_ENDED)
)
_OPEN = insert(INCIDENTS).returning(INCIDENTS.c.site, INCIDENTS.c.id)
_KEEP_DECISION = insert(DECISIONS)


@dataclass(frozen=True)
class Summary:
    """An incident and its last attempt: `outcome` is empty while that runs, both are where there was none."""

    site: str
    incident: int
    state: State
    action: str
    outcome: str


def open_incidents(
    connection: Connection,
    sites: Mapping[str, str],
    now: float,
    text: str,
    alert: str = SITE_DOWN,
    late: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Open an incident for each of these sites, which come with their outage; return their ids.

    `late`: by site, the incident that ended after its alert had begun.
    None of them may have an open one: IntegrityError says that another remediator was quicker.
    """
    if not sites:
        return {}
    rows = [
        {"site": site, "state": State.OPEN, "opened_at": now, "outage": outage, "alert": alert}
        for site, outage in sites.items()
    ]
    result = connection.execute(_OPEN, rows)
    opened = {row.site: row.id for row in result}
    connection.execute(
        insert(EVENTS),
        [_opening(number, (late or {}).get(site), now, text) for site, number in opened.items()],
    )
    return opened


def _opening(incident: int, late: int | None, now: float, text: str) -> dict[str, Any]:
    """Say of an incident what opened it, and of a late alert to which incident it belongs."""
    said = text if late is None else f"{text}, which began before incident {late} ended"
    data = {} if late is None else {"late": late}
    return {"time": now, "kind": "opened", "text": said, "incident_id": incident, "data": data}


def late_of(connection: Connection, incident: Incident) -> int | None:
    """Return the incident that ended after this one's alert had begun; None once a probe has failed."""
    if incident.early or incident.probe_reason is not None:
        return None
    query = select(EVENTS.c.data).where(EVENTS.c.incident_id == incident.id, EVENTS.c.kind == "opened")
    found = connection.scalar(query.order_by(EVENTS.c.id).limit(1)) or {}
    return int(found["late"]) if "late" in found else None


def open_sites(connection: Connection, sites: Iterable[str]) -> dict[str, int]:
    """Return the open incident of each of these sites that has one."""
    names = sorted(set(sites))
    found: dict[str, int] = {}
    for start in range(0, len(names), _CHUNK):
        rows = connection.execute(_OPEN_SITES, {"sites": names[start : start + _CHUNK]})
        found.update((row.site, row.id) for row in rows)
    return found


def ended_since(connection: Connection, since: Mapping[str, float], alert: str = SITE_DOWN) -> dict[str, int]:
    """Return the last incident of the sites where it ended after the time (Unix) that stands beside them.

    One that ended because its site had left sites.yml proves nothing, and is none of them. A SiteDown never
    belongs to one that a late alert opened; for other alerts that one proves, as any, that the site was up.
    """
    but = Outcome.ALREADY_OVER if alert == SITE_DOWN else ""
    names, earliest = sorted(since), min(since.values(), default=0.0)
    last: dict[str, Row[Any]] = {}
    for start in range(0, len(names), _CHUNK):
        values = {"sites": names[start : start + _CHUNK], "after": earliest, "but": but}
        last |= {row.site: row for row in connection.execute(_ENDED, values)}
    return {
        site: row.id
        for site, row in last.items()
        if row.state == State.RECOVERED and row.closed_at > since[site]
    }


def note_alert(connection: Connection, ids: Iterable[int], alert_status: str, now: float) -> None:
    """Note what the SiteDown of these incidents says; it says no more than that.

    One that fires takes the place of the ContainerDown that opened an incident; one that ends does not.
    """
    every = sorted(set(ids))
    for start in range(0, len(every), _CHUNK):
        of_them = INCIDENTS.c.id.in_(every[start : start + _CHUNK])
        early = (of_them, INCIDENTS.c.alert != SITE_DOWN)
        if alert_status == "firing":
            for number in connection.scalars(select(INCIDENTS.c.id).where(*early)).all():
                record(connection, now, "alert", f"Alertmanager: {SITE_DOWN}", number)
            connection.execute(update(INCIDENTS).where(*early).values(alert=SITE_DOWN))
        where = (of_them, INCIDENTS.c.alert == SITE_DOWN, INCIDENTS.c.alert_status != alert_status)
        connection.execute(update(INCIDENTS).where(*where).values(alert_status=alert_status))


def to_decide(connection: Connection) -> list[int]:
    """Return the open incidents without an attempt under way, oldest first."""
    states = (State.OPEN, State.OBSERVING, State.AWAITING_APPROVAL, State.NEEDS_HUMAN)
    query = select(INCIDENTS.c.id).where(INCIDENTS.c.closed_at.is_(None), INCIDENTS.c.state.in_(states))
    return list(connection.scalars(query.order_by(INCIDENTS.c.id)))


def get(connection: Connection, incident_id: int) -> Incident | None:
    """Return one incident."""
    row = connection.execute(_GET, {"number": incident_id}).one_or_none()
    return None if row is None else incident_of(row)


def listing(connection: Connection, limit: int = 200, only_open: bool = False) -> list[Incident]:
    """Return the open incidents and then the latest closed ones, newest first."""
    newest = select(INCIDENTS).order_by(INCIDENTS.c.id.desc())
    found = list(connection.execute(newest.where(INCIDENTS.c.closed_at.is_(None)).limit(limit)))
    if not only_open and len(found) < limit:  # asked by themselves: sorted together, all would be read
        closed = newest.where(INCIDENTS.c.closed_at.is_not(None))
        found += connection.execute(closed.limit(limit - len(found)))
    return [incident_of(row) for row in found]


def summaries(connection: Connection, since: float, limit: int) -> list[Summary]:
    """Return the newest incident of each site that is open or ended since then, newest first.

    What a late alert told takes nobody's place.
    """
    columns = select(INCIDENTS.c.site, INCIDENTS.c.id)  # asked twice: with OR, all rows would be read
    ended = (INCIDENTS.c.closed_at >= since, INCIDENTS.c.outcome != Outcome.ALREADY_OVER)
    shown = union_all(columns.where(INCIDENTS.c.closed_at.is_(None)), columns.where(*ended)).subquery()
    newest = select(func.max(shown.c.id).label("id")).group_by(shown.c.site).subquery()
    last = (
        select(ATTEMPTS.c.incident_id, func.max(ATTEMPTS.c.id).label("id"))
        .join(newest, newest.c.id == ATTEMPTS.c.incident_id)
        .group_by(ATTEMPTS.c.incident_id)
        .subquery()
    )
    query = (
        select(INCIDENTS.c.site, INCIDENTS.c.id, INCIDENTS.c.state, ATTEMPTS.c.action, ATTEMPTS.c.stage)
        .join(newest, newest.c.id == INCIDENTS.c.id)
        .outerjoin(last, last.c.incident_id == INCIDENTS.c.id)
        .outerjoin(ATTEMPTS, ATTEMPTS.c.id == last.c.id)
        .order_by(INCIDENTS.c.id.desc())
        .limit(limit)
    )
    return [
        Summary(site, number, State(state), action or "", stage if stage in FINISHED else "")
        for site, number, state, action, stage in connection.execute(query)
    ]


def counts(connection: Connection) -> dict[State, int]:
    """Count the open incidents by state."""
    query = (
        select(INCIDENTS.c.state, func.count())
        .where(INCIDENTS.c.closed_at.is_(None))
        .group_by(INCIDENTS.c.state)
    )
    return {State(row[0]): row[1] for row in connection.execute(query)}


def change(connection: Connection, incident_id: int, **values: Any) -> bool:
    """Change columns of an incident that is still open; tell whether it was."""
    return connection.execute(_CHANGE, {**values, "number": incident_id}).rowcount == 1


def keep_decision(connection: Connection, incident: Incident, decision: Decision, now: float) -> bool:
    """Store a decision where it is news; tell whether it was."""
    if incident.decided == decision.signature:
        return False
    values = {"decided": decision.signature, "next_at": decision.until}
    if not change(connection, incident.id, **values):
        return False
    row = {
        "incident_id": incident.id,
        "time": now,
        "verb": decision.verb,
        "reason": decision.reason,
        "detail": decision.detail[:2000],
        "action": decision.action,
        "numbers": dict(decision.numbers),
    }
    connection.execute(_KEEP_DECISION, row)
    return True


def keep_look(connection: Connection, incident_id: int, look: Look, now: float) -> None:
    """Store what was found on the server; it is a line of the timeline where it is news."""
    before = get(connection, incident_id)
    text = sentence(read(look))
    seen = before is not None and before.look is not None and text == sentence(read(before.look))
    if change(connection, incident_id, look=asdict(look)) and not seen:
        record(connection, now, "looked", text, incident_id, data={"evidence": dict(look.evidence)})


def move(connection: Connection, incident: Incident, state: State, decision: Decision, now: float) -> bool:
    """Move an incident to another open state; tell whether that was news."""
    if incident.state is state and incident.reason == decision.reason:
        return False
    values = {"state": state, "reason": decision.reason, "detail": decision.detail[:2000]}
    if not change(connection, incident.id, **values):
        return False
    record(connection, now, state, f"{decision.reason}: {decision.detail}", incident.id)
    return True


def close(
    connection: Connection, incident: Incident, outcome: Outcome, decision: Decision, now: float
) -> bool:
    """Close an incident; tell whether it was open."""
    state = State.REMOVED if outcome is Outcome.REMOVED else State.RECOVERED
    quiet = (Outcome.REMOVED, Outcome.ALREADY_OVER)  # nobody was to be mailed
    closed = change(
        connection,
        incident.id,
        state=state,
        outcome=outcome,
        closed_at=now,
        detail=decision.detail[:2000],
        reason=decision.reason,
        mailed=Mailed.TOLD if outcome in quiet or incident.early else Mailed.UNCLEAR,
    )
    if closed:
        record(connection, now, state, f"{outcome}: {decision.detail}", incident.id)
    return closed


def outcome_of(incident: Incident) -> Outcome:
    """Say how an incident that is over now came to its end without an attempt."""
    if incident.early and incident.probe_reason is None:
        return Outcome.NOT_DOWN
    return Outcome.BY_A_HUMAN if incident.state is State.NEEDS_HUMAN else Outcome.BY_ITSELF


def incident_of(row: Row[Any]) -> Incident:
    """Read an incident out of its row."""
    values: dict[str, Any] = dict(row._mapping)
    rest = {name: values[name] for name in values if name not in {"state", "outcome", "look", "mailed"}}
    look = values["look"]
    return Incident(
        state=State(values["state"]),
        outcome=Outcome(values["outcome"]) if values["outcome"] else None,
        look=Look(**look) if look else None,
        mailed=Mailed(values["mailed"]),
        **rest,
    )
