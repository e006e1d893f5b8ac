"""One more probe, soon after the first that failed: a blip is then no outage, and an outage is confirmed.

The failed probe counts, and so does each confirming one: nothing is taken back. A streak begins with its
first failed probe whether or not it is confirmed, so an alert never comes later than without; a site that
is well again a second later has been down for a second, and not until its next probe. That matters where
`interval` is longer than `alert.after`: there one lost packet would be an alert.

A confirming probe is left out where it could still run when the site's next one is due, and beyond a few a
second: when everything fails at once, it is no site's blip.
"""

import time
from typing import Protocol

from core.allowance import Allowance
from exporter.health import Health
from exporter.result import Result
from exporter.scheduler import phase_of
from exporter.watched import WatchedSite

SOON = 1.0
"""Seconds after a failed probe, at the least; up to `SPREAD` more, each site its own."""
SPREAD = 0.5
AT_ONCE, EVERY = 50, 0.1
"""Confirming probes in a row, and seconds after which one more may be made."""


class Schedule(Protocol):
    """What is needed of a scheduler."""

    def next_due(self, name: str) -> float | None:
        """Return when the site's next probe is due, on the monotonic clock; None for no site."""

    def again(self, name: str, seconds: float) -> None:
        """Probe a site once more in some seconds."""


class Confirming:
    """Asks for confirming probes: after a failure that follows a success, `retries` of a site at most."""

    def __init__(self, schedule: Schedule, health: Health) -> None:
        self._schedule = schedule
        self._health = health
        self._allowance = Allowance(AT_ONCE, EVERY)
        self._made: dict[str, int] = {}
        """How many were asked for, of sites whose streak is still being confirmed."""

    def after(self, site: WatchedSite, before: Result | None, result: Result) -> None:
        """Ask for one more probe of `site` where `result`, after `before`, wants to be confirmed."""
        asked = self._made.pop(site.name, None)
        if result.success or site.heartbeat is not None:
            return
        if before is None or before.success:
            asked = 0
        if asked is None or asked >= site.retries:
            return
        now, due = time.monotonic(), self._schedule.next_due(site.name)
        seconds = SOON + SPREAD * phase_of(site.name)
        if due is None or now + seconds + site.timeout > due:
            return
        if not self._allowance.takes(now):
            self._health.confirming.labels("left_out").inc()
            return
        self._health.confirming.labels("made").inc()
        self._made[site.name] = asked + 1
        self._schedule.again(site.name, seconds)
