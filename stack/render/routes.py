"""Alertmanager's routes to people: whom each alert reaches, in which mail, and how soon.

A route's matchers are part of the key by which Alertmanager remembers what it has sent. So about its
outages each top site whose people are not the default ones has a route of its own, and editing one site
sends no such mail about another a second time. What else there is about such people's sites, and an
outage that several of them have in common, is told together: those routes name the sites, and where one
is added or removed while something of theirs fires, that is mailed once more. Two hundred mails about
two hundred slow sites would be worse.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.sites import Document, Site
from remediator.configuration.options import RemediatorSite
from stack.alerting import AlertingOptions, AlertingTop, HealingMails, Times
from stack.render.files import prometheus_duration
from stack.render.receivers import NOBODY_RECEIVER

Route = dict[str, Any]


def matcher(label: str, value: str, operator: str = "=") -> str:
    """Return a matcher with its value quoted, as both of Alertmanager's parsers read it."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{label}{operator}"{quoted}"'


_HEALING = matcher("alertname", "SiteHealing")
_CONTAINER_DOWN = matcher("alertname", "ContainerDown")
_ABOUT_A_SITE = matcher("part_of", "", "!=")
"""Not so a site that is not probed any more: that is the business of those who run Sitemedic."""

_DIGEST_WAITS, _DIGEST_FOLLOWS = 30.0, 300.0
"""Seconds at most: the remediator counts a digest as told two minutes after it was posted, even where only
the mail before it was taken, and ends it a quarter of an hour later."""


def times(patience: Times, wait: float | None = None) -> Route:
    """Return how patient a route is, with another `wait` for its first mail where one is given."""
    return {
        "group_wait": prometheus_duration(patience.group_wait if wait is None else wait),
        "group_interval": prometheus_duration(patience.group_interval),
        "repeat_interval": prometheus_duration(patience.repeat_interval),
    }


_LESSER = "started|held|recovered"
"""The stages of SiteHealing that are not important: those of remediator/model/news.py beside them are."""


@dataclass(frozen=True)
class Told:
    """Who is told about a site: a receiver, the one of what has no end, and whether they wait for healing."""

    receiver: str
    once: str | None = None
    waits: bool = False


class PeopleRoutes:
    """The routes by which one audience is told: those who get mail, a chat, a pager."""

    def __init__(self, document: Document, default: Told, told: Callable[[Site], Told]) -> None:
        self._default = default
        self._alerting: AlertingOptions = document.top(AlertingTop).alerting
        self._sites = document.sites
        self._told = {site.name: told(site) for site in document.sites}

    def routes(self) -> list[Route]:
        """Return them; the last one takes whatever comes."""
        other = [self._other(told, matchers) for told, matchers in self._others()]
        return [*self._silent(), self._outages(), *other, self._other(self._default, [])]

    def _silent(self) -> Iterator[Route]:
        """Yield the routes of what is told of healing and reaches nobody, by `healing_mails` and `notify`."""
        mails = self._alerting.healing_mails
        if mails is HealingMails.NONE:
            yield {"receiver": NOBODY_RECEIVER, "matchers": [_HEALING]}
            return
        if mails is HealingMails.IMPORTANT:
            lesser = matcher("stage", _LESSER, "=~")
            yield {"receiver": NOBODY_RECEIVER, "matchers": [_HEALING, lesser]}
        if waiting := [name for name, told in self._told.items() if told.waits]:
            others = matcher("stage", "approval", "!=")
            yield {"receiver": NOBODY_RECEIVER, "matchers": [_HEALING, others, _sites(waiting)]}

    def _outages(self) -> Route:
        """Return the route for sites that are down."""
        return {
            "receiver": self._default.receiver,
            "matchers": [matcher("alertname", "SiteDown|MostSitesDown|HealingSuspended", "=~")],
            # An outage of one site and its apps has their part_of in its name: this says the same
            # twice, and holds for a SiteDown without `outage`.
            "group_by": ["outage", "part_of"],
            **times(self._alerting.warning, self._wait(self._alerting.warning, self._default)),
            "routes": [
                self._most_sites(),
                *self._servers(),
                *self._family_outages(),
                self._shared(self._default, [matcher("outage", "server:.*", "=~")]),
                self._critical_outages(self._default),
            ],
        }

    def _most_sites(self) -> Route:
        """Return the route for the outage of most sites: nothing is healed then, and nobody waits for it.

        That nothing is healed is told together with it, also where fewer sites are down.
        """
        return {
            **self._shared(_at_once(self._default), [matcher("outage", "most-sites")]),
            "routes": [
                {"receiver": told.receiver, "matchers": matchers} for told, matchers in self._others()
            ],
        }

    def _servers(self) -> Iterator[Route]:
        """Yield the routes for those that a dead server concerns, and who are not told as by default."""
        for server, sites in self._by_server().items():
            for told, names in self._together(sites, lambda told: told):
                yield self._shared(told, [matcher("outage", f"server:{server}"), _sites(names)])

    def _shared(self, told: Told, matchers: list[str]) -> Route:
        wait = self._alerting.healing_time if told.waits else self._alerting.shared_wait
        return {
            "receiver": told.receiver,
            "matchers": matchers,
            "group_by": ["outage"],
            **times(self._alerting.critical, wait),
        }

    def _family_outages(self) -> Iterator[Route]:
        for told, matchers in self._families(self._sites, lambda told: told):
            yield {
                "receiver": told.receiver,
                "matchers": matchers,
                **times(self._alerting.warning, self._wait(self._alerting.warning, told)),
                "routes": [self._critical_outages(told)],
            }

    def _critical_outages(self, told: Told) -> Route:
        critical = self._alerting.critical
        return {
            "receiver": told.receiver,
            "matchers": [matcher("severity", "critical")],
            **times(critical, self._wait(critical, told)),
        }

    def _wait(self, patience: Times, told: Told) -> float:
        return max(patience.group_wait, self._alerting.healing_time) if told.waits else patience.group_wait

    def _others(self) -> Iterator[tuple[Told, list[str]]]:
        """Yield those who are not the default people, each with the matchers of their sites."""
        together = dict(self._together(self._sites, _at_once))
        rest = [site for site in self._sites if _at_once(self._told[site.name]) not in together]
        for told, names in together.items():
            yield told, [_ABOUT_A_SITE, _sites(names)]
        yield from self._families(rest, _at_once)

    def _other(self, told: Told, matchers: list[str]) -> Route:
        """Return the route for what is not about an outage."""
        warning = self._alerting.warning
        human = {
            "matchers": [matcher("alertname", "SiteNeedsHuman")],
            "group_by": ["alertname", "server", "outage"],
            **times(self._alerting.critical),
        }
        untold = {
            "receiver": told.once,
            "matchers": [matcher("alertname", "SiteOutageUntold")],
            "group_wait": prometheus_duration(min(_DIGEST_WAITS, warning.group_wait)),
            "group_interval": prometheus_duration(min(_DIGEST_FOLLOWS, warning.group_interval)),
        }
        return {
            "receiver": told.receiver,
            **({"matchers": matchers} if matchers else {}),
            "routes": [
                *([untold] if told.once else []),
                human,
                *self._containers(),
                *self._healing(told),
                {"matchers": [matcher("severity", "critical")], **times(self._alerting.critical)},
            ],
        }

    def _containers(self) -> Iterator[Route]:
        """Yield the routes for containers that are down: late, since most are healed or their sites told of.

        They are of the site's thread. Where people wait for healing, they wait as long for this.
        """
        waits = {"": self._alerting.container_wait}
        if waiting := [name for name, told in self._told.items() if told.waits]:
            waits = {
                _sites(waiting): max(self._alerting.healing_time, self._alerting.container_wait),
                **waits,
            }
        for sites, wait in waits.items():
            yield {
                "matchers": [_CONTAINER_DOWN, *([sites] if sites else [])],
                "group_by": ["alertname", "server", "outage"],
                **times(self._alerting.critical, wait),
            }

    def _healing(self, told: Told) -> Iterator[Route]:
        """Yield the routes for what is told of healing; a question is in no group that was mailed just now.

        The end of such an alert is no news: the site's own end is mailed. A pager is told it all the same.
        """
        for about in ([_HEALING, matcher("stage", "approval")], [_HEALING]):
            yield {
                "receiver": told.once or told.receiver,
                "matchers": about,
                "group_by": ["alertname", "server", "outage"],
                **times(self._alerting.critical),
            }

    def _by_server(self) -> dict[str, list[Site]]:
        found: dict[str, list[Site]] = {}
        for site in self._sites:
            if (recover := site.part(RemediatorSite).recover) is not None:
                found.setdefault(recover.server, []).append(site)
        return found

    def _together(
        self, sites: Iterable[Site], seen: Callable[[Told], Told]
    ) -> Iterator[tuple[Told, list[str]]]:
        """Yield who is not told as by default, with their sites, where these are of several families."""
        for told, found in self._by_told(sites, seen).items():
            if told != seen(self._default) and len({site.root for site in found}) > 1:
                yield told, [site.name for site in found]

    def _families(
        self, sites: Iterable[Site], seen: Callable[[Told], Told]
    ) -> Iterator[tuple[Told, list[str]]]:
        """Yield every family, or part of one, that is not told as by default, with its matchers."""
        families: dict[str, list[Site]] = {}
        for site in sites:
            families.setdefault(site.root, []).append(site)
        for root, members in families.items():
            part_of = matcher("part_of", root)
            by_told = self._by_told(members, seen)
            main = next(iter(by_told))  # the top site's own: it stands first
            for told, found in by_told.items():
                if told != main:
                    yield told, [part_of, _sites(site.name for site in found)]
            if main != seen(self._default):
                yield main, [part_of]

    def _by_told(self, sites: Iterable[Site], seen: Callable[[Told], Told]) -> Mapping[Told, list[Site]]:
        found: dict[Told, list[Site]] = {}
        for site in sites:
            found.setdefault(seen(self._told[site.name]), []).append(site)
        return found


def _at_once(told: Told) -> Told:
    return Told(told.receiver, told.once)


def _sites(names: Iterable[str]) -> str:
    return matcher("site", "|".join(re.escape(name) for name in names), "=~")
