"""Keeps Alertmanager told of what is healed, held, asked and given up, so that mail stays Alertmanager's job.

Level-triggered out of the database: what is to be told of an incident is worked out anew at each look, posted
again while it holds, and ended once it does not. `told` in the incident's row is what Alertmanager has of it:
after a crash between the post and that write it is posted once more, which is the same alert.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.logs import fields
from remediator.acting.attempts import PATIENCE
from remediator.errors import AlertmanagerError
from remediator.model.news import News, Patience, Seen, Telling, news_of, read_key
from remediator.store import news as store_news
from remediator.telling import alert as news_alert
from remediator.telling.means import Means
from remediator.telling.suspended import Suspended

log = logging.getLogger(__name__)
BATCH = 50
"""Alerts of one look: to tell of an incident costs 2 ms of CPU, and others want to work meanwhile."""
SOON = 1.0
"""Seconds until the next look where there is more to post."""
AGAIN = 5.0
"""Seconds until Alertmanager is asked again that took nothing, and until news are posted once more, with
what has come to be known of it before it is mailed."""
MOST = 5000
"""Incidents that are told of."""
LOOKED_AT_A_SECOND = 500
"""With thousands of open incidents each look takes longer, and comes more rarely."""


@dataclass(frozen=True)
class Posted:
    """What was last posted of an incident, and when (on the incidents' clock)."""

    key: str
    at: float


@dataclass(frozen=True)
class Change:
    """What is to be posted of an incident: the news, and the end of what was told before."""

    seen: Seen
    news: News | None
    before: str

    @property
    def key(self) -> str:
        """Return what Alertmanager has of the incident afterwards."""
        return self.news.key if self.news else ""


class Notifier:
    """Posts what is to be told."""

    def __init__(self, means: Means) -> None:
        self._with = means
        self._posted: dict[int, Posted] = {}
        self._suspended = Suspended(means)

    def tell(self) -> float:
        """Post every alert that is due, end those that are over; return the seconds until the next time."""
        now = self._with.now()
        patience = self._patience()
        with self._with.store.read() as connection:
            every = store_news.seen(connection, now - patience.recovered - self._with.timing.notify, MOST)
        self._posted = {one.id: self._posted[one.id] for one in every if one.id in self._posted}
        changes = [Change(one, news_of(one, now, patience), one.told) for one in every]
        due = sorted((one for one in changes if self._due(one, now)), key=self._rank)
        try:
            self._suspended.tell()
            if due:
                self._post(due[:BATCH], now)
        except AlertmanagerError as error:
            self._with.metrics.problem("alertmanager")
            log.warning("alertmanager unavailable", extra=fields(reason=str(error)))
            return min(AGAIN, self._with.timing.notify)
        wait = SOON if len(due) > BATCH else self._with.timing.reconcile + len(every) / LOOKED_AT_A_SECOND
        return min(self._with.timing.notify, wait)

    def _patience(self) -> Patience:
        timing = self._with.timing
        return Patience(
            timing.told_held, self._with.policy().held_for, timing.told_failed, timing.told_recovered
        )

    def _due(self, change: Change, now: float) -> bool:
        """Tell whether something has changed, or is to be posted again: young news more often."""
        if change.news is None or change.key != change.before:
            return change.key != change.before
        posted = self._posted.get(change.seen.id)
        if posted is None or posted.key != change.key or posted.at > now:
            return True
        young = posted.at - change.news.at < AGAIN
        return now - posted.at >= min(self._with.timing.notify, AGAIN if young else self._with.timing.notify)

    def _rank(self, change: Change) -> tuple[bool, bool, float]:
        """Say what goes first: news, and of these questions; then what was posted longest ago."""
        posted = self._posted.get(change.seen.id)
        asks = change.news is not None and change.news.telling is Telling.APPROVAL
        return change.key == change.before, not asks, posted.at if posted else 0.0

    def _post(self, batch: Sequence[Change], now: float) -> None:
        alerts: list[dict[str, Any]] = []
        with self._with.store.read() as connection:
            for one in batch:
                told = news_alert.story(connection, one.seen.id, self._with.policy())
                if told is not None:
                    alerts += self._alerts(one, told)
        self._with.client.post(alerts)
        self._posted |= {one.seen.id: Posted(one.key, now) for one in batch}
        news = [one for one in batch if one.key != one.before]
        if not news:
            return
        with self._with.store.write(PATIENCE) as connection:
            store_news.mark_told(connection, [(one.seen.id, one.before, one.key) for one in news])
        for one in news:
            if one.news is not None:
                self._with.metrics.told.labels(one.news.telling).inc()

    def _alerts(self, change: Change, told: news_alert.Story) -> list[dict[str, Any]]:
        """Return the news, and the end of what was told before; Alertmanager goes by the machine's clock."""
        seen, policy, clock = change.seen, self._with.policy(), time.time()
        alerts = []
        before = read_key(change.before)
        if before is not None and change.key != change.before:
            named = news_alert.labels(seen, *before, policy)
            alerts.append(news_alert.end(named, told, clock, self._with.console))
        if change.news is not None:
            named = news_alert.labels(seen, change.news.telling, change.news.number, policy)
            ends = clock + self._with.timing.notify_lasts
            alerts.append(news_alert.alert(named, change.news, told, ends, self._with.console))
        return alerts
