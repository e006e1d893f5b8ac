"""Which sites' alerts somebody has silenced, in Alertmanager's own words; remembered for a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from core.logs import fields
from remediator.clients.alertmanager import TIMEOUT, AlertmanagerClient
from remediator.clients.silenced import Silenced
from remediator.errors import AlertmanagerError
from remediator.metrics import Metrics
from remediator.timing import Timing

log = logging.getLogger(__name__)
AT_ONCE = (1.0, 2.0)
"""Seconds to connect, and to wait for an answer, while an act waits: what was probed ages meanwhile."""


class Silences:
    """Looked up by a chore, so that no decision waits for Alertmanager; asked afresh before an act."""

    def __init__(
        self, client: AlertmanagerClient, metrics: Metrics, timing: Timing, now: Callable[[], float]
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._timing = timing
        self._now = now
        self._lock = threading.Lock()
        self._found = Silenced()
        self._last: dict[str, frozenset[str]] = {}
        """The silences that a site's alert last had, of those in force."""
        self._unclear_since: dict[str, float] = {}
        self._known_at: float | None = None
        self._told = False

    def look(self) -> float:
        """Ask Alertmanager; return the seconds until the next time."""
        self._ask(TIMEOUT)
        return self._timing.silences

    def covers_now(self, site: str) -> bool | None:
        """Ask afresh whether a silence covers a site's alert; without an answer the last one holds."""
        self._ask(AT_ONCE)
        return self.covers(site)

    def covers(self, site: str) -> bool | None:
        """Tell whether a silence covers a site's alert; None where the last answer is too old.

        While it cannot be told, since Alertmanager has lost the alert, it counts as covered for as long.
        """
        now, longest = self._now(), self._timing.silences_max_age
        with self._lock:
            if self._known_at is None or not -1.0 <= now - self._known_at <= longest:
                return None
            said = self._found.covers(site, self._last.get(site, frozenset()))
            if said is not None:
                self._unclear_since.pop(site, None)
                return said
            return now - self._unclear_since.setdefault(site, now) <= longest

    def _ask(self, timeout: tuple[float, float]) -> None:
        asked = self._now()
        try:
            found = self._client.silenced(timeout)
        except AlertmanagerError as error:
            self._metrics.problem("alertmanager")
            if not self._told:
                log.warning("silences not known", extra=fields(reason=str(error)))
            self._told = True
            return
        with self._lock:
            self._told = False
            if self._known_at is None or asked >= self._known_at:  # else a later question was answered first
                self._found, self._known_at = found, asked
                self._remember(found)

    def _remember(self, found: Silenced) -> None:
        """Remember what silenced a site's alert, for as long as that is in force."""
        active = {one.id for one in found.silences}
        last = {**self._last, **found.sites}
        for site in found.present - found.sites.keys():
            last.pop(site, None)
        self._last = {site: ids & active for site, ids in last.items() if ids & active}
