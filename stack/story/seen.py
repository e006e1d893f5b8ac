"""What the demo's story reads of the services, as plain values. Times are unix seconds.

Everything in a `Snapshot` may be None: that service could not be asked this time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SiteSeen:
    """What the exporter says of the demo's site."""

    success: bool | None
    reason: str | None
    detail: str
    failing_since: float | None
    slow_since: float | None
    duration: float | None


@dataclass(frozen=True)
class MailSeen:
    """A mail in the mailbox."""

    id: int
    received: float
    to: tuple[str, ...]
    subject: str
    text: str = ""


@dataclass(frozen=True)
class AttemptSeen:
    """One run of an action."""

    id: int
    action: str
    stage: str
    created_at: float
    acted_at: float | None
    finished_at: float | None
    detail: str
    evidence: Mapping[str, Any] | None


@dataclass(frozen=True)
class IncidentSeen:
    """An incident with its attempts; `looks` are the remediator's looks at the server: time and evidence.

    `decided` is its last decision, in words.
    """

    id: int
    site: str
    state: str
    opened_at: float
    closed_at: float | None
    outcome: str | None
    reason: str
    detail: str
    attempts: tuple[AttemptSeen, ...] = ()
    looks: tuple[tuple[float, Mapping[str, Any]], ...] = ()
    decided: str = ""


@dataclass(frozen=True)
class MachineSeen:
    """The demo's server."""

    power: str
    fault: str | None
    broken_at: float | None
    container: str
    starts: int


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment; `firing` are the alerts as (name, site)."""

    time: float
    site: SiteSeen | None = None
    firing: frozenset[tuple[str, str]] | None = None
    mails: tuple[MailSeen, ...] | None = None
    incidents: tuple[IncidentSeen, ...] | None = None
    machine: MachineSeen | None = None
    faults: tuple[str, ...] = field(default=())
    """Which services could not be asked, one line each."""


def site_seen(answer: Mapping[str, Any], name: str) -> SiteSeen | None:
    """Read the exporter's /api/v1/sites; None where it does not list the site."""
    for one in answer["sites"]:
        if one["site"] == name:
            return SiteSeen(
                success=one["success"],
                reason=one["reason"],
                detail=one["detail"] or "",
                failing_since=one["failing_since"],
                slow_since=one["slow_since"],
                duration=one["duration_seconds"],
            )
    return None


def firing_seen(answer: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Read Prometheus's /api/v1/alerts."""
    alerts = (one["labels"] for one in answer["data"]["alerts"] if one["state"] == "firing")
    return frozenset((labels["alertname"], labels.get("site", "")) for labels in alerts)


def mails_seen(answer: Mapping[str, Any]) -> tuple[MailSeen, ...]:
    """Read the mailbox's /api/mails, oldest first."""
    found = (
        MailSeen(one["id"], one["received"], tuple(one["to"]), one["subject"], one.get("text") or "")
        for one in answer["mails"]
    )
    return tuple(sorted(found, key=lambda mail: mail.id))


def incident_seen(answer: Mapping[str, Any]) -> IncidentSeen:
    """Read one incident of the remediator's /api/v1/incidents/ID (or of the list, without its details)."""
    return IncidentSeen(
        id=answer["id"],
        site=answer["site"],
        state=answer["state"],
        opened_at=answer["opened_at"],
        closed_at=answer["closed_at"],
        outcome=answer["outcome"],
        reason=answer["reason"] or "",
        detail=answer["detail"] or "",
        attempts=tuple(_attempt(one) for one in answer.get("attempts", ())),
        looks=tuple(_looks(answer.get("timeline", ()))),
        decided=_decided(answer.get("decisions", ())),
    )


def machine_seen(answer: Mapping[str, Any]) -> MachineSeen:
    """Read the state of the demo's server."""
    container = answer["container"]
    return MachineSeen(
        power=answer["power"],
        fault=answer["fault"],
        broken_at=answer["broken_at"],
        container=container["status"],
        starts=container["starts"],
    )


def _attempt(one: Mapping[str, Any]) -> AttemptSeen:
    return AttemptSeen(
        id=one["id"],
        action=one["action"],
        stage=one["stage"],
        created_at=one["created_at"],
        acted_at=one["acted_at"],
        finished_at=one["finished_at"],
        detail=one["detail"] or "",
        evidence=one.get("evidence"),
    )


def _decided(decisions: Sequence[Mapping[str, Any]]) -> str:
    if not decisions:
        return ""
    last = decisions[-1]
    return f"{last['verb']} ({last['reason']}): {last['detail']}"


def _looks(timeline: Sequence[Mapping[str, Any]]) -> list[tuple[float, Mapping[str, Any]]]:
    return [
        (event["time"], (event.get("data") or {}).get("evidence") or {})
        for event in timeline
        if event["kind"] == "looked"
    ]
