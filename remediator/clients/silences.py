"""Which sites' alerts somebody has silenced, in Alertmanager's own words; remembered for a while."""

from __future__ import annotations

import logging
import math
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
        self._afresh: dict[str, tuple[float, Silenced]] = {}
        """What was asked of one site since all were, and when."""
        self._unclear_since: dict[str, float] = {}
        self._known_at = -math.inf
        self._told = False

    def look(self) -> float:
        """Ask Alertmanager; return the seconds until the next time."""
        asked = self._now()
        found = self._answer(lambda: self._client.silenced(TIMEOUT))
        if found is not None:
            with self._lock:
                self._take(found, asked)
        return self._timing.silences

    def covers_now(self, site: str) -> bool | None:
        """Ask afresh whether a silence covers a site's alert; without an answer the last one holds."""
        asked = self._now()
        found = self._answer(lambda: self._client.silenced_at(site, AT_ONCE))
        if found is not None:
            with self._lock:
                if asked >= self._asked(site)[0]:  # else a later question was answered first
                    self._afresh[site] = asked, found
                    self._remember(found)
        return self.covers(site)

    def covers(self, site: str) -> bool | None:
        """Tell whether a silence covers a site's alert; None where the last answer is too old.

        While it cannot be told, since Alertmanager has lost the alert, it counts as covered for as long.
        """
        now, longest = self._now(), self._timing.silences_max_age
        with self._lock:
            asked, found = self._asked(site)
            if not -1.0 <= now - asked <= longest:
                return None
            said = found.covers(site, self._last.get(site, frozenset()))
            if said is not None:
                self._unclear_since.pop(site, None)
                return said
            return now - self._unclear_since.setdefault(site, now) <= longest

    def _asked(self, site: str) -> tuple[float, Silenced]:
        """Return the newest answer that tells of a site, and when it was asked for."""
        return self._afresh.get(site, (self._known_at, self._found))

    def _answer(self, ask: Callable[[], Silenced]) -> Silenced | None:
        try:
            found = ask()
        except AlertmanagerError as error:
            self._metrics.problem("alertmanager")
            if not self._told:
                log.warning("silences not known", extra=fields(reason=str(error)))
            self._told = True
            return None
        self._told = False
        return found

    def _take(self, found: Silenced, asked: float) -> None:
        """Take what is told of all sites; what was asked of one of them since then is newer."""
        self._found, self._known_at = found, asked
        now = self._now()  # a clock that was set back makes no answer the newest for ever
        self._afresh = {site: one for site, one in self._afresh.items() if asked < one[0] <= now}
        self._remember(found)
        active = {one.id for one in found.silences}.union(*found.sites.values())
        self._last = {site: ids & active for site, ids in self._last.items() if ids & active}
        if not found.silences:
            self._unclear_since.clear()

    def _remember(self, found: Silenced) -> None:
        """Remember what silenced a site's alert; only its SiteDown can tell that nothing does any more."""
        for site, ids in found.sites.items():
            self._last[site] = ids if site in found.present else ids | self._last.get(site, frozenset())
        for site in found.present:
            self._unclear_since.pop(site, None)
            if site not in found.sites:
                self._last.pop(site, None)
