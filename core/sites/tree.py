"""The tree of sites and their apps, flattened, with what each takes from above it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.faults import Fault, quoted

NAME_RULE = "must be a name of 1 to 100 printable characters without '/' and without quotes"


@dataclass
class RawSite:
    """A site as it stands in its file, and what it takes from the site above it."""

    name: str
    path: str
    file: str
    parent: str | None
    root: str
    own: dict[str, Any]
    above: dict[str, Any] = field(default_factory=dict)

    def merged(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the site's keys: its own over the inherited over the defaults."""
        return overlay(overlay(defaults, self.above), self.own)


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`; a mapping is laid over a mapping key by key."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        result[key] = {**under, **value} if both else value  # type: ignore[dict-item]
    return result


class SiteTree:
    """Walk `sites:` and collect every site with its whole name, and the faults of the tree itself."""

    def __init__(self, inherited: frozenset[str]) -> None:
        self.sites: list[RawSite] = []
        self.faults: list[Fault] = []
        self._inherited = inherited
        self._places: dict[str, str] = {}

    def add_list(self, raw: Any, path: str, file: str, parent: RawSite | None = None) -> None:
        """Add what stands at `sites:` or `apps:`."""
        if raw is None:
            return
        if not isinstance(raw, list):
            self.faults.append(Fault(file, path, "must be a list: begin each site with '- name:'"))
            return
        for number, entry in enumerate(raw):
            self.add(entry, f"{path}[{number}]", file, parent)

    def add(
        self, raw: Any, path: str, file: str, parent: RawSite | None = None, *, free_name: bool = False
    ) -> None:
        """Add one site and its apps; `free_name` lets a target stand as its own name."""
        if not isinstance(raw, Mapping):
            self.faults.append(Fault(file, path, "must be a site: a mapping with name and url"))
            return
        name = raw.get("name")
        if name is None:
            self.faults.append(Fault(file, f"{path}.name", "is required"))
            name = f"?{len(self.sites)}"
        elif not is_name(name, free_name):
            self.faults.append(Fault(file, f"{path}.name", f"{NAME_RULE} (got {quoted(name)})"))
            name = str(name)
        whole = f"{parent.name}/{name}" if parent else str(name)
        if whole in self._places:
            self.faults.append(Fault(file, f"{path}.name", f"{whole!r} is already at {self._places[whole]}"))
        self._places.setdefault(whole, f"{file}: {path}")
        own = {str(key): value for key, value in raw.items() if key not in ("name", "apps")}
        site = RawSite(
            whole, path, file, parent.name if parent else None, parent.root if parent else whole, own
        )
        if parent:
            taken = overlay(parent.above, parent.own)
            site.above = {key: value for key, value in taken.items() if key in self._inherited}
        self.sites.append(site)
        self.add_list(raw.get("apps"), f"{path}.apps", file, site)

    def __iter__(self) -> Iterator[RawSite]:
        return iter(self.sites)


def is_name(name: object, free: bool = False) -> bool:
    """Say whether a site may be called that; a `free` one may hold what an address does."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return False
    return free or (len(name) <= 100 and name == name.strip() and not set(name) & set("/\"'`\\"))
