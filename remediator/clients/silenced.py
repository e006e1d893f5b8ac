"""Whether silences cover a site's alert, also while Alertmanager has lost the alert. Pure.

Alertmanager keeps its silences over a restart, but not its alerts: these are back once Prometheus has sent
them again, minutes later where that was restarted too. Until then no alert is told to be silenced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import re2

from remediator.model.incident import SITE_DOWN

NO_LABELS: Mapping[str, str] = MappingProxyType({})
SHARED = frozenset({"part_of", "severity", "server", "group"})
"""The labels that a site's SiteDown has as its ContainerDown has them."""


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS = _quiet()


@dataclass(frozen=True)
class Matcher:
    """One of a silence's."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True

    def fits(self, value: str) -> bool:
        """Tell whether a label's value fits; an expression that cannot be read may be one that does."""
        if not self.regex:
            return (value == self.value) is self.equal
        try:
            return (re2.compile(self.value, _OPTIONS).fullmatch(value) is not None) is self.equal
        except re2.error:
            return True


@dataclass(frozen=True)
class Silence:
    """One that is in force."""

    id: str
    matchers: tuple[Matcher, ...]

    def covers(self, site: str, labels: Mapping[str, str] = NO_LABELS) -> bool | None:
        """Tell whether it covers a site's SiteDown; None where that depends on others than these labels."""
        known = {**labels, "site": site, "alertname": SITE_DOWN}
        asked = [one for one in self.matchers if one.name in known]
        if not all(one.fits(known[one.name]) for one in asked):
            return False
        return True if len(asked) == len(self.matchers) else None


@dataclass(frozen=True)
class Silenced:
    """What Alertmanager says: each silenced site's silences, all in force, and the sites with a SiteDown.

    A site is silenced as its SiteDown is; before that fires, or while it is lost, as its ContainerDown is.
    `labels`: what that one tells of a SiteDown that is not there. Nothing but `sites` is asked for where it
    is not needed.
    """

    sites: Mapping[str, frozenset[str]] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    present: frozenset[str] = frozenset()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def covers(self, site: str, before: frozenset[str] = frozenset()) -> bool | None:
        """Tell whether a site's alert is silenced, or would be; `before`: the silences that it last had.

        None: its SiteDown is not in Alertmanager, and whether one of the silences is meant for it cannot be
        told without its labels.
        """
        if site in self.sites:
            return True
        if site in self.present or not self.silences:
            return False
        labels = self.labels.get(site, NO_LABELS)
        said = {one.covers(site, labels) for one in self.silences}
        if True in said or any(one.id in before for one in self.silences):
            return True
        return None if None in said else False
