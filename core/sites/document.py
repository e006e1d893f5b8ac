"""The words of `sites.yml`: a part that a service hands in, a site, the whole document."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from core.faults import Fault


class Options(BaseModel):
    """The base of every model in the file: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


M = TypeVar("M", bound=Options)


class Place(NamedTuple):
    """The container that a site lives in: on which server, and its name or its compose project/service."""

    server: str
    container: str = ""
    compose: str = ""


@dataclass(frozen=True)
class Site:
    """Something probed. `name` is whole: an app's is `parent/child`."""

    name: str
    path: str
    """Where it stands in its file: `sites[0].apps[1]`."""
    file: str
    parent: str | None
    root: str
    """The name of the site at the top; its own where it stands there itself."""
    parts: Mapping[type[Options], Options] = field(repr=False)

    def part(self, model: type[M]) -> M:
        """Return what the file says of this site in the words of `model`."""
        options = self.parts[model]
        assert isinstance(options, model)
        return options


@dataclass(frozen=True)
class Document:
    """A whole, valid `sites.yml` with the site files it names."""

    path: Path
    sites: tuple[Site, ...]
    files: tuple[Path, ...]
    """Every file that was read, to be watched."""
    tops: Mapping[type[Options], Options] = field(repr=False)
    handed: tuple["Part", ...] = field(repr=False)
    names: frozenset[str] = field(repr=False)
    """Every site's name, also of one that is still faulty while the checks look."""
    defaults: Mapping[type[Options], Options] = field(default_factory=dict, repr=False)
    _by_name: Mapping[str, Site] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {site.name: site for site in self.sites})

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self.path.parent

    def top(self, model: type[M]) -> M:
        """Return the file's top-level keys in the words of `model`."""
        options = self.tops[model]
        assert isinstance(options, model)
        return options

    def default(self, model: type[M]) -> M:
        """Return the file's `defaults:` in the words of `model`, for what belongs to no site."""
        options = self.defaults[model]
        assert isinstance(options, model)
        return options

    def site(self, name: str) -> Site | None:
        """Return the site of that whole name."""
        return self._by_name.get(name)

    def info(self, site: Site) -> dict[str, str]:
        """Return what all parts say of a site, as labels of `sitemedic_site_info`."""
        labels: dict[str, str] = {}
        for part in self.handed:
            if part.info is not None:
                labels.update(part.info(site, self))
        return labels

    def place(self, site: Site) -> Place | None:
        """Return the container that a site lives in, None where no part knows it."""
        for part in self.handed:
            found = part.place(site) if part.place is not None else None
            if found is not None:
                return found
        return None

    def fault(self, where: Site | None, key: str, message: str) -> Fault:
        """Make a fault at `key` of a site, or of the top where there is none."""
        if where is None:
            return Fault(self.path.name, key, message)
        return Fault(where.file, f"{where.path}.{key}" if key else where.path, message)


@dataclass(frozen=True)
class Part:
    """What one service reads of `sites.yml`."""

    owner: str
    top: type[Options] | None = None
    site: type[Options] | None = None
    defaults: type[Options] | None = None
    inherited: frozenset[str] = frozenset()
    """Keys that an app takes from the site above it where it does not set them."""
    check: Callable[[Document], Iterable[Fault]] | None = None
    """Looks at the whole once every piece is valid by itself."""
    info: Callable[[Site, Document], Mapping[str, str]] | None = None
    """Labels for `sitemedic_site_info`."""
    place: Callable[[Site], Place | None] | None = None
    """The container that a site lives in."""
