"""Whether silences cover a site's alert, also while Alertmanager has lost the alert. Pure.

Alertmanager keeps its silences over a restart, but not its alerts: these are back once Prometheus has sent
them again, minutes later where that was restarted too. Until then no alert is told to be silenced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from remediator.model.incident import SITE_DOWN


@dataclass(frozen=True)
class Matcher:
    """One of a silence's."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True

    def fits(self, value: str) -> bool:
        """Tell whether a label's value fits; an expression that Python cannot read may be one that does."""
        if not self.regex:
            return (value == self.value) is self.equal
        try:
            return (re.fullmatch(self.value, value) is not None) is self.equal
        except re.error:
            return True


@dataclass(frozen=True)
class Silence:
    """One that is in force."""

    id: str
    matchers: tuple[Matcher, ...]

    def covers(self, site: str) -> bool | None:
        """Tell whether it covers a site's SiteDown; None where that depends on labels that nobody knows."""
        known = {"site": site, "alertname": SITE_DOWN}
        asked = [one for one in self.matchers if one.name in known]
        if not all(one.fits(known[one.name]) for one in asked):
            return False
        return True if len(asked) == len(self.matchers) else None


@dataclass(frozen=True)
class Silenced:
    """What Alertmanager says: the silences of each site's alert, all in force, and the sites with an alert.

    `present` is not asked for while no silence is in force.
    """

    sites: Mapping[str, frozenset[str]] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    present: frozenset[str] = frozenset()

    def covers(self, site: str, before: frozenset[str] = frozenset()) -> bool | None:
        """Tell whether a site's alert is silenced, or would be; `before`: the silences that it last had.

        None: its alert has gone from Alertmanager, and whether one of the silences is meant for it cannot be
        told without the alert's labels.
        """
        if site in self.sites:
            return True
        if site in self.present or not self.silences:
            return False
        said = {one.covers(site) for one in self.silences}
        if True in said or any(one.id in before for one in self.silences):
            return True
        return None if None in said else False
