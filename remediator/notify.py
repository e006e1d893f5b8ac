"""What people are told: SiteNeedsHuman, as an alert to Alertmanager, so that mail stays Alertmanager's job.

Level-triggered out of the database: posted again while an incident is with a human, ended once it is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests
from sqlalchemy import Connection

from core.logs import fields
from remediator import store_incidents
from remediator.errors import AlertmanagerError
from remediator.incident import Incident, State
from remediator.metrics import Metrics
from remediator.policy import Policy
from remediator.store import Store, timeline
from remediator.timing import Timing

log = logging.getLogger(__name__)
TIMEOUT = (2.0, 5.0)
BATCH = 100
MOST_TEXT = 4000
"""Characters of a timeline in one mail."""


class Notifier:
    """Keeps Alertmanager told."""

    def __init__(
        self,
        store_: Store,
        alertmanager_url: str,
        console_url: str,
        policy: Callable[[], Policy],
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
    ) -> None:
        self._store = store_
        self._url = alertmanager_url.rstrip("/") + "/api/v2/alerts"
        self._console = console_url.rstrip("/")
        self._policy = policy
        self._metrics = metrics
        self._timing = timing
        self._now = now

    def tell(self) -> bool:
        """Post every alert that is due, and end those that are over; False where Alertmanager took none."""
        with self._store.read() as connection:
            incidents = store_incidents.to_tell(connection, limit=5000)
            texts = {one.id: _text(connection, one) for one in incidents}
        for start in range(0, len(incidents), BATCH):
            batch = incidents[start : start + BATCH]
            try:
                self._post([self._alert(one, texts[one.id]) for one in batch])
            except AlertmanagerError as error:
                self._metrics.problem("alertmanager")
                log.warning("alertmanager unavailable", extra=fields(reason=str(error)))
                return False
            self._mark(batch)
        return True

    def _mark(self, batch: list[Incident]) -> None:
        changed = [(one, "firing" if _firing(one) else "") for one in batch]
        news = [(one, told) for one, told in changed if told != one.told]
        if not news:
            return
        with self._store.write(5.0) as connection:
            for one, told in news:
                store_incidents.mark_told(connection, one.id, was=one.told, told=told)

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(self._url, json=alerts, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise AlertmanagerError(f"no answer from Alertmanager: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise AlertmanagerError(f"Alertmanager answered {answer.status_code}")

    def _alert(self, incident: Incident, text: str) -> dict[str, Any]:
        now = self._now()
        lasts = self._timing.notify_lasts if _firing(incident) else 0.0
        site = self._policy().sites.get(incident.site)
        return {
            "labels": {
                "alertname": "SiteNeedsHuman",
                "site": incident.site,
                "part_of": site.root if site else incident.site.partition("/")[0],
                "severity": "critical",
                "incident": str(incident.id),
            },
            "annotations": {
                "summary": f"{incident.site} needs a human",
                "reason": incident.reason or "",
                "description": incident.detail or incident.reason or "",
                "timeline": text,
            },
            "startsAt": _rfc3339(incident.opened_at),
            "endsAt": _rfc3339(now + lasts),
            "generatorURL": f"{self._console}/incidents/{incident.id}",
        }


def _firing(incident: Incident) -> bool:
    return incident.state is State.NEEDS_HUMAN


def _text(connection: Connection, incident: Incident) -> str:
    if not _firing(incident):
        return ""
    lines = [
        f"{datetime.fromtimestamp(event['time'], UTC):%H:%M:%S} UTC  {event['text']}"
        for event in timeline(connection, incident.id)
    ]
    return "\n".join(lines)[-MOST_TEXT:]


def _rfc3339(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
