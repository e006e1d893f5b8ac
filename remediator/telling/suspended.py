"""HealingSuspended: one alert while nothing is touched, since too much fails at once or every canary does.

It lasts through the cooldown after it. With our own network down its mail cannot go out: then it goes on,
saying until when, until a mail was taken again.
"""

from __future__ import annotations

import time
from typing import Any

from core.durations import format_duration
from remediator.clients.alertmanager import rfc3339
from remediator.model.holds import Storm
from remediator.model.incident import Reason
from remediator.model.mail_flow import MailFlow
from remediator.store import incidents as store_incidents
from remediator.store import mail as store_mail
from remediator.store import storm as store_storm
from remediator.telling import words
from remediator.telling.means import Means

MOST_LATE = 86400.0
"""Seconds after which a storm that nobody could be mailed about is told no more."""

_WHAT = {
    Reason.CANARIES_FAIL: "every canary fails",
    Reason.TOO_MANY_UNHEALTHY: "too many sites fail at once",
}
_CHECKS = {
    Reason.CANARIES_FAIL: (
        "Canaries are addresses of others, so this is most likely the network, the resolver or the proxy of"
        " the machine that runs Sitemedic: look from elsewhere whether the sites answer"
    ),
    Reason.TOO_MANY_UNHEALTHY: (
        "Look what those that fail have in common: server, hoster, network, resolver, proxy."
        " remediation.max_unhealthy in sites.yml is the share above which nothing is touched"
    ),
}


class Suspended:
    """Keeps Alertmanager told whether healing is suspended."""

    def __init__(self, means: Means) -> None:
        self._with = means
        self._posted_at: float | None = None
        self._posted_over = False

    def tell(self) -> None:
        """Post the alert where it is due, and its end; raise AlertmanagerError where it was not taken."""
        with self._with.store.read() as connection:
            storm, flow = store_storm.last_storm(connection), store_mail.flow_of(connection)
            open_now = sum(store_incidents.counts(connection).values())
        now, timing = self._with.now(), self._with.timing
        if storm is None:
            return
        lasts = max(timing.storm_lasts, self._with.policy().limits.storm_cooldown) if open_now else 0.0
        over_at = storm.seen_at + lasts
        over = now >= over_at
        if not over or self._is_late(storm, flow, over_at, now):
            again = self._posted_at is None or not 0 <= now - self._posted_at < timing.notify
            if again or over != self._posted_over:
                self._with.client.post([self._alert(storm, over, time.time() + timing.notify_lasts)])
                self._posted_at, self._posted_over = now, over
        elif self._posted_at is not None:
            self._with.client.post([self._alert(storm, over, time.time())])
            self._posted_at = None

    def _is_late(self, storm: Storm, flow: MailFlow | None, over_at: float, now: float) -> bool:
        """Tell whether mails failed during the storm, and that about it may not have been taken yet."""
        trouble = flow.trouble if flow is not None else None
        if trouble is None or now - over_at > MOST_LATE or trouble.since > over_at:
            return False
        return trouble.until is None or (
            trouble.until >= storm.since and now < trouble.until + self._with.timing.mail_settles
        )

    def _alert(self, storm: Storm, over: bool, ends: float) -> dict[str, Any]:
        reason = Reason(storm.reason)
        since, until = words.moment(storm.since), words.moment(storm.seen_at) if over else ""
        what, cooldown = _WHAT.get(reason, storm.reason), self._with.policy().limits.storm_cooldown
        said = (
            f"Nothing was healed from {since} until {until}: {what}."
            if over
            else f"Nothing is healed since {since}: {what}. Healing goes on {format_duration(cooldown)} after"
            " that is over."
        )
        verb = "was" if over else "is"
        return {
            "labels": {"alertname": "HealingSuspended", "severity": "critical", "outage": "most-sites"},
            "annotations": {
                "summary": f"nothing {verb} healed: {storm.detail or what}",
                "since": since,
                **({"until": until} if until else {}),
                "reason": storm.reason,
                "day": since[:10].replace("-", ""),
                "description": f"{said} {_CHECKS.get(reason, '')}.",
                "runbook_url": "docs/runbooks/HealingSuspended.md",
            },
            "startsAt": rfc3339(storm.since),
            "endsAt": rfc3339(ends),
            "generatorURL": f"{self._with.console}/",
        }
