"""Choose among a server's containers: pure, so that it can be tried on any list of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.servers.containers import ContainerChoice, ContainerThresholds
from core.sites import Place
from exporter.containers.model import Container, State
from exporter.containers.plan import SitePlace, Thresholds, WatchedServer

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container that is watched, whether it is there or not."""

    name: str
    """Where a compose service has no container: `project/service`."""
    thresholds: Thresholds
    sites: tuple[str, ...] = ()
    """Those that live in it."""


class Selection:
    """What of one server is watched."""

    def __init__(self, watched: WatchedServer) -> None:
        self._choices = watched.choices
        self._defaults = watched.defaults
        self._by_name: dict[str, list[SitePlace]] = {}
        self._by_service: dict[str, list[SitePlace]] = {}
        for site in watched.sites:
            known, key = (
                (self._by_name, site.place.container)
                if site.place.container
                else (self._by_service, site.place.compose)
            )
            known.setdefault(key, []).append(site)

    def of(self, containers: Iterable[Container]) -> dict[str, Wanted]:
        """Return what is watched, by name: what of `containers` is chosen, and what is missed among them."""
        found: dict[str, Wanted] = {}
        services = set()
        for container in containers:
            wanted = self._wanted(container)
            if wanted is not None:
                found[container.name] = wanted
                services.add(compose_of(container))
        for name, sites, choices in self._named():
            if name not in found and name not in services:
                found[name] = self._settle(name, sites, choices)
        return found

    def _wanted(self, container: Container) -> Wanted | None:
        sites = (
            *self._by_name.get(container.name, ()),
            *self._by_service.get(compose_of(container), ()),
        )
        choices = [choice for choice in self._choices if chosen(choice, container)]
        return self._settle(container.name, sites, choices) if sites or choices else None

    def _named(self) -> Iterator[tuple[str, Sequence[SitePlace], Sequence[ContainerChoice]]]:
        """Yield what is asked for by its whole name: it is missed where it is not there."""
        names = {choice.name or choice.compose or "" for choice in self._choices} - {""}
        plain = {name for name in names if not _PATTERN & set(name)}
        for name in sorted({*self._by_name, *self._by_service, *plain}):
            sites = self._by_name.get(name, []) or self._by_service.get(name, [])
            yield name, sites, [choice for choice in self._choices if name in (choice.name, choice.compose)]

    def _settle(self, name: str, sites: Sequence[SitePlace], choices: Sequence[ContainerChoice]) -> Wanted:
        """Take each threshold from the sites, else from the first choice that says it, else from defaults."""
        own = [site.own for site in sites]
        thresholds = Thresholds(
            _lowest(own, "cpu") or _first(choices, "cpu") or self._defaults.cpu,
            _lowest(own, "memory") or _first(choices, "memory") or self._defaults.memory,
            int(_lowest(own, "restarts") or _first(choices, "restarts") or self._defaults.restarts),
        )
        return Wanted(name, thresholds, tuple(sorted(site.site for site in sites)))


def wanted_for(watched: WatchedServer, place: Place) -> Wanted | None:
    """Return what is wanted of the container of a site, as far as one can tell without its labels."""
    project, _, service = place.compose.partition("/")
    labels = {PROJECT: project, SERVICE: service} if place.compose else {}
    name = place.container or place.compose
    return Selection(watched).of([Container("", name, "", State.RUNNING, labels)]).get(name)


def compose_of(container: Container) -> str:
    """Return `project/service`, nothing for what compose did not make to stay."""
    labels = container.labels
    if PROJECT not in labels or labels.get(ONE_OFF) == "True":
        return ""
    return f"{labels[PROJECT]}/{labels.get(SERVICE, '')}"


def chosen(choice: ContainerChoice, container: Container) -> bool:
    """Say whether a choice means this container."""
    if choice.name is not None:
        return fnmatchcase(container.name, choice.name)
    if choice.compose is not None:
        project, _, service = choice.compose.partition("/")
        own_project, slash, own_service = compose_of(container).partition("/")
        return bool(slash) and fnmatchcase(own_project, project) and fnmatchcase(own_service, service)
    name, equals, value = (choice.label or "").partition("=")
    own = container.labels.get(name)
    return own is not None and (not equals or own == value)


def _lowest(said: Iterable[ContainerThresholds], key: str) -> float | None:
    return min((value for one in said if (value := getattr(one, key)) is not None), default=None)


def _first(said: Iterable[ContainerThresholds], key: str) -> float | None:
    return next((value for one in said if (value := getattr(one, key)) is not None), None)
