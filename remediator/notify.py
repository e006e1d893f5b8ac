"""What people are told: SiteNeedsHuman, as an alert to Alertmanager, so that mail stays Alertmanager's job.

Level-triggered out of the database: posted again while an incident is with a human, ended once it is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from core.logs import fields
from remediator import store_attempts, store_incidents
from remediator.alertmanager_client import AlertmanagerClient, rfc3339
from remediator.errors import AlertmanagerError
from remediator.incident import Incident, State
from remediator.metrics import Metrics
from remediator.policy import Policy, SitePolicy
from remediator.store import Store, timeline
from remediator.timing import Timing

log = logging.getLogger(__name__)
BATCH = 100
AGAIN = 5.0
"""Seconds until Alertmanager is asked again that took nothing."""
MOST_TEXT = 4000
"""Characters of a timeline in one mail."""


class Notifier:
    """Keeps Alertmanager told."""

    def __init__(
        self,
        store_: Store,
        client: AlertmanagerClient,
        console_url: str,
        policy: Callable[[], Policy],
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
    ) -> None:
        self._store = store_
        self._client = client
        self._console = console_url.rstrip("/")
        self._policy = policy
        self._metrics = metrics
        self._timing = timing
        self._now = now

    def tell(self) -> float:
        """Post every alert that is due, end those that are over; return the seconds until the next time."""
        with self._store.read() as connection:
            incidents = store_incidents.to_tell(connection, limit=5000)
            texts = {one.id: _texts(connection, one) for one in incidents}
        for start in range(0, len(incidents), BATCH):
            batch = incidents[start : start + BATCH]
            try:
                self._client.post([self._alert(one, *texts[one.id]) for one in batch])
            except AlertmanagerError as error:
                self._metrics.problem("alertmanager")
                log.warning("alertmanager unavailable", extra=fields(reason=str(error)))
                return min(AGAIN, self._timing.notify)
            self._mark(batch)
        return self._timing.notify

    def _mark(self, batch: list[Incident]) -> None:
        changed = [(one, "firing" if _firing(one) else "") for one in batch]
        news = [(one, told) for one, told in changed if told != one.told]
        if not news:
            return
        with self._store.write(5.0) as connection:
            for one, told in news:
                store_incidents.mark_told(connection, one.id, was=one.told, told=told)

    def _alert(self, incident: Incident, timeline_: str, tried: list[str]) -> dict[str, Any]:
        now = self._now()
        lasts = self._timing.notify_lasts if _firing(incident) else 0.0
        site = self._policy().sites.get(incident.site)
        target = site.target if site else None
        labels = {
            "alertname": "SiteNeedsHuman",
            "site": incident.site,
            "part_of": site.root if site else incident.site.partition("/")[0],
            "severity": "critical",
            "incident": str(incident.id),
            "server": target.server.name if target else "",
            "outage": incident.outage,
        }
        since = incident.failing_since or incident.opened_at
        return {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {
                "summary": f"{incident.site} needs a human",
                "since": f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC",
                "reason": incident.reason or "",
                "description": description(incident, site, tried),
                "timeline": timeline_,
                "runbook_url": "docs/runbooks/SiteNeedsHuman.md",
            },
            "startsAt": rfc3339(incident.opened_at),
            "endsAt": rfc3339(now + lasts),
            "generatorURL": f"{self._console}/incidents/{incident.id}",
        }


def description(incident: Incident, site: SitePolicy | None, tried: list[str]) -> str:
    """Say what somebody who was just woken needs: what is down, why nothing is done, what was, and where."""
    since = datetime.fromtimestamp(incident.failing_since or incident.opened_at, UTC)
    why = f" ({incident.probe_reason})" if incident.probe_reason else ""
    said = [f"{incident.site} has been down since {since:%Y-%m-%d %H:%M:%S} UTC{why}."]
    held = (incident.reason or "").replace("_", " ")
    said.append(f"Sitemedic does no more: {': '.join(filter(None, (held, incident.detail)))}.")
    said.append(f"Tried: {'; '.join(tried)}." if tried else "Nothing was tried.")
    if site is not None and site.target is not None:
        said.append(f"It runs as {site.target.label} on {site.target.server.name}.")
    else:
        said.append("It has no recover: block in sites.yml, so Sitemedic only watches it.")
    return " ".join(said)


def _firing(incident: Incident) -> bool:
    return incident.state is State.NEEDS_HUMAN


def _texts(connection: Connection, incident: Incident) -> tuple[str, list[str]]:
    """Return an incident's timeline and its attempts, as lines."""
    if not _firing(incident):
        return "", []
    lines = [f"{_clock(event['time'])}  {event['text']}" for event in timeline(connection, incident.id)]
    tried = [
        f"{one['action'].replace('_', ' ')} at {_clock(one['created_at'])}: "
        + ": ".join(filter(None, (one["stage"], one["detail"])))
        for one in store_attempts.of_incident(connection, incident.id)
    ]
    return "\n".join(lines)[-MOST_TEXT:], [text[:300] for text in tried[-5:]]


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"
