"""Which servers' containers are watched, and from when on they use too much: what sites.yml says of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.faults import Fault
from core.servers.containers import ContainerChoice, ContainerThresholds
from core.servers.options import ServersTop
from core.servers.schema import servers
from core.servers.server import Server
from core.sites import Document, Place, Site
from exporter.site_options import SiteDefaults, SiteOptions

_KEYS = tuple(ContainerThresholds.model_fields)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on a container uses too much: shares of its limits, and restarts within 10 minutes."""

    cpu: float = 0.9
    memory: float = 0.9
    restarts: int = 3


@dataclass(frozen=True, slots=True)
class SitePlace:
    """A site that lives in one of a server's containers, with the thresholds that it sets itself."""

    site: str
    place: Place
    own: ContainerThresholds


@dataclass(frozen=True, slots=True)
class WatchedServer:
    """A server with what of it is watched."""

    server: Server
    choices: tuple[ContainerChoice, ...]
    sites: tuple[SitePlace, ...]
    defaults: Thresholds = Thresholds()


def watched_servers(document: Document) -> tuple[WatchedServer, ...]:
    """Return the servers of which containers are watched; none where nobody reads `servers:`."""
    if ServersTop not in document.tops:
        return ()
    options, known = document.top(ServersTop).servers, servers(document)
    places = _places(document)
    common = document.default(SiteDefaults).container
    found = (
        WatchedServer(server, options[name].containers or (), places.get(name, ()), _settled(common))
        for name, server in known.items()
        if options[name].containers != ()
    )
    return tuple(one for one in found if one.choices or one.sites)


def faults_of(document: Document) -> Iterator[Fault]:
    """Tell thresholds that nothing will ever be measured against."""
    off = {
        name
        for name, one in (document.top(ServersTop).servers if ServersTop in document.tops else {}).items()
        if one.containers == ()
    }
    for site in document.sites:
        if _own(site, document) == ContainerThresholds():
            continue
        place = document.place(site)
        if place is None:
            mend = "nothing says which container it lives in: add recover: {server: …, container: …}"
            yield document.fault(site, "container", mend)
        elif place.server in off:
            mend = f"nothing there is watched: take servers.{place.server}.containers: off away"
            yield document.fault(site, "container", mend)


def _places(document: Document) -> Mapping[str, tuple[SitePlace, ...]]:
    found: dict[str, list[SitePlace]] = {}
    for site in document.sites:
        place = document.place(site)
        if place is not None:
            found.setdefault(place.server, []).append(SitePlace(site.name, place, _own(site, document)))
    return {server: tuple(places) for server, places in found.items()}


def _own(site: Site, document: Document) -> ContainerThresholds:
    """Return what a site itself says: what it has from `defaults:` holds for all, and comes last."""
    said, common = site.part(SiteOptions).container, document.default(SiteDefaults).container
    given = {key: getattr(said, key) for key in _KEYS if getattr(said, key) != getattr(common, key)}
    return ContainerThresholds.model_construct(**given)


def _settled(common: ContainerThresholds) -> Thresholds:
    given = {key: getattr(common, key) for key in _KEYS}
    return Thresholds(**{key: value for key, value in given.items() if value is not None})
