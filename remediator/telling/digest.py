"""SiteOutageUntold: one alert for each outage that nobody could be mailed about, until mails get through.

While the mail server is away Alertmanager tries to mail them again and again, so they arrive when it is back,
in one mail. They end by themselves some time after they were told: an alert that ends at once could end
before it was mailed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from remediator.acting.attempts import PATIENCE
from remediator.clients.alertmanager import rfc3339
from remediator.model.incident import Incident, Outcome
from remediator.model.mail_flow import Mailed, MailFlow
from remediator.store import attempts as store_attempts
from remediator.store import mail as store_mail
from remediator.telling.means import Means

BATCH = 100
_ENDS = {
    Outcome.HEALED: "Sitemedic brought it back",
    Outcome.BY_ITSELF: "It came back by itself",
    Outcome.NOT_DOWN: "Only its container was down, the site itself never was",
    Outcome.ALREADY_OVER: "It had ended before its alert came",
    Outcome.BY_A_HUMAN: "It came back after Sitemedic had asked for a human",
}


class Digest:
    """Keeps Alertmanager told of what nobody was mailed about."""

    def __init__(self, means: Means) -> None:
        self._with = means
        self._posted: dict[int, float] = {}

    def tell(self, flow: MailFlow) -> None:
        """Post what is due, and end what was mailed; raise AlertmanagerError where it was not taken."""
        with self._with.store.read() as connection:
            untold = store_mail.with_mails(connection, Mailed.UNTOLD)
        now = self._with.now()
        self._with.metrics.untold.set(len(untold))
        self._posted = {one.id: self._posted[one.id] for one in untold if one.id in self._posted}
        told = [one for one in untold if self._was_told(one, flow, now)]
        due = [
            one
            for one in untold
            if one not in told and now - self._posted.get(one.id, 0.0) >= self._with.timing.notify
        ]
        for batch in _batches(due):
            self._post(batch, self._with.timing.notify_lasts)
            self._posted |= {one.id: now for one in batch}
            with self._with.store.write(PATIENCE) as connection:
                store_mail.mark_posted(connection, batch, now)
        for batch in _batches(told):
            self._post(batch, self._with.timing.digest_lasts)
            with self._with.store.write(PATIENCE) as connection:
                store_mail.mark(connection, batch, Mailed.TOLD_LATER, now, at=now)
        self._with.metrics.untold.set(len(untold) - len(told))

    def _was_told(self, incident: Incident, flow: MailFlow, now: float) -> bool:
        """Tell whether a mail was taken since it was posted, and none fails."""
        posted = incident.mailed_at
        if posted is None or flow.failing or flow.taken_at is None:
            return False
        return flow.taken_at > posted and now >= posted + self._with.timing.mail_settles

    def _post(self, incidents: Iterable[Incident], lasts: float) -> None:
        ends = rfc3339(time.time() + lasts)  # Alertmanager goes by the machine's clock
        with self._with.store.read() as connection:
            done = {
                one.id: [
                    f"{attempt['action']} on {attempt['server']}: {attempt['stage']}"
                    for attempt in store_attempts.of_incident(connection, one.id)
                ]
                for one in incidents
            }
        self._with.client.post([self._alert(one, done[one.id], ends) for one in incidents])

    def _alert(self, incident: Incident, done: list[str], ends: str) -> dict[str, Any]:
        site = self._with.policy().sites.get(incident.site)
        since, until = _clock(incident.failing_since or incident.opened_at), _clock(incident.closed_at)
        return {
            "labels": {
                "alertname": "SiteOutageUntold",
                "site": incident.site,
                "part_of": site.root if site else incident.site.partition("/")[0],
                "severity": "info",
                "incident": str(incident.id),
            },
            "annotations": {
                "since": since,
                "until": until,
                "reason": incident.probe_reason or "",
                "summary": f"{incident.site}: down from {since} until {until}, and nobody could be mailed",
                "description": _description(incident, done),
                "runbook_url": "docs/runbooks/SiteOutageUntold.md",
            },
            "startsAt": rfc3339(incident.closed_at or incident.opened_at),
            "endsAt": ends,
            "generatorURL": f"{self._with.console}/incidents/{incident.id}",
        }


def _description(incident: Incident, done: list[str]) -> str:
    why = f" ({incident.probe_reason})" if incident.probe_reason else ""
    was = "; ".join(done) if done else "nothing"
    end = _ENDS.get(incident.outcome, "It is over") if incident.outcome else "It is over"
    return (
        f"{incident.site} was down{why} and is up again. What Sitemedic did: {was}. {end}. "
        "Alertmanager could not deliver mails at that time."
    )


def _clock(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _batches(incidents: list[Incident]) -> Iterable[list[Incident]]:
    for start in range(0, len(incidents), BATCH):
        yield incidents[start : start + BATCH]
