"""Alertmanager's routes to people: whom each alert reaches, in which mail, and how soon.

A route's matchers are part of the key by which Alertmanager remembers what it has sent. So each top
site whose people are not the default ones has routes of its own, and editing one site sends no mail
about another a second time. The exception is what breaks several top sites of such people at once (a
server, most of the sites): they are named together, since one mail of it is worth more than that an
edit during the outage sends that one again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.sites import Document, Site
from remediator.options import RemediatorSite
from stack.alerting import AlertingOptions, AlertingTop, Times
from stack.render.files import prometheus_duration

Route = dict[str, Any]


def matcher(label: str, value: str, operator: str = "=") -> str:
    """Return a matcher with its value quoted, as both of Alertmanager's parsers read it."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{label}{operator}"{quoted}"'


def times(patience: Times, wait: float | None = None) -> Route:
    """Return how patient a route is, with another `wait` for its first mail where one is given."""
    return {
        "group_wait": prometheus_duration(patience.group_wait if wait is None else wait),
        "group_interval": prometheus_duration(patience.group_interval),
        "repeat_interval": prometheus_duration(patience.repeat_interval),
    }


@dataclass(frozen=True)
class Told:
    """Who is told about a site: a receiver, the one of what has no end, and whether they wait for healing."""

    receiver: str
    digest: str | None = None
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
        return [self._outages(), *self._other_exceptions(), self._others(self._default)]

    def _outages(self) -> Route:
        """Return the route for sites that are down."""
        return {
            "receiver": self._default.receiver,
            "matchers": [matcher("alertname", "SiteDown|MostSitesDown", "=~")],
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
        """Return the route for the outage of most sites: nothing is healed then, and nobody waits for it."""
        others = [
            *((told, [_sites(names)]) for told, names in self._together(self._sites, _at_once)),
            *self._families(_at_once),
        ]
        return {
            **self._shared(_at_once(self._default), [matcher("outage", "most-sites")]),
            "routes": [{"receiver": told.receiver, "matchers": matchers} for told, matchers in others],
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
        for told, matchers in self._families(lambda told: told):
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

    def _other_exceptions(self) -> Iterator[Route]:
        """Yield the routes for all other alerts about sites whose people are not the default ones."""
        for server, sites in self._by_server().items():
            for told, names in self._together(sites, _at_once):
                yield self._needs_human(told, [matcher("server", server), _sites(names)])
        for told, names in self._together(self._sites, _at_once):
            if told.digest:
                yield _digest(told.digest, [_sites(names)])
        for told, matchers in self._families(_at_once):
            yield self._others(told, matchers)

    def _others(self, told: Told, matchers: Iterable[str] = ()) -> Route:
        matching = list(matchers)
        return {
            "receiver": told.receiver,
            **({"matchers": matching} if matching else {}),
            "routes": [
                *([_digest(told.digest, [])] if told.digest else []),
                self._needs_human(told, []),
                {"matchers": [matcher("severity", "critical")], **times(self._alerting.critical)},
            ],
        }

    def _needs_human(self, told: Told, matchers: list[str]) -> Route:
        return {
            "receiver": told.receiver,
            "matchers": [matcher("alertname", "SiteNeedsHuman"), *matchers],
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

    def _families(self, seen: Callable[[Told], Told]) -> Iterator[tuple[Told, list[str]]]:
        """Yield every family, or part of one, that is not told as by default, with its matchers."""
        families: dict[str, list[Site]] = {}
        for site in self._sites:
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
    return Told(told.receiver, told.digest)


def _digest(receiver: str, matchers: list[str]) -> Route:
    return {"receiver": receiver, "matchers": [matcher("alertname", "SiteOutageUntold"), *matchers]}


def _sites(names: Iterable[str]) -> str:
    return matcher("site", "|".join(re.escape(name) for name in names), "=~")
