"""What a site's keys are in the end, and which place each of them comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.sites.document import Document, Options, Part, Site
from core.sites.load import assembly
from core.sites.tree import RawSite, SiteTree
from core.sites.validate import nearest


@dataclass(frozen=True)
class Setting:
    """One key of a site with its value as plain data.

    `origin` is where it is set: `sites[0].apps[1]`, `defaults`, or empty where nothing sets it.
    """

    key: str
    value: Any
    origin: str


def effective(path: Path, parts: Sequence[Part], name: str) -> tuple[Document, Site, list[Setting]]:
    """Return a site of the file at `path` with all its settings.

    Raises ConfigError when the file is faulty, and LookupError, with the nearest name, when it has no such
    site.
    """
    read = assembly(path, parts)
    document = read.document()
    site = document.site(name)
    if site is None:
        names = [each.name for each in document.sites]
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        hint = nearest(name, names) or f" (there are: {shown})"
        raise LookupError(f"{path.name} has no site {name!r}{hint}")
    inherited = frozenset().union(*(part.inherited for part in parts))
    places = [*_places(read.tree, name, inherited), ("defaults", read.sound_defaults)]
    settings = [
        Setting(key, value, _origin(key, places))
        for part in parts
        if part.site is not None
        for key, value in _leaves(site.part(part.site))
    ]
    return document, site, settings


def _leaves(options: Options) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value; those of a mapping such as `alert:` one by one."""
    plain = options.model_dump(mode="json", by_alias=True)
    for field, info in type(options).model_fields.items():
        key = info.alias or field
        if isinstance(getattr(options, field), Options):
            yield from ((f"{key}.{inner}", value) for inner, value in plain[key].items())
        else:
            yield key, plain[key]


def _places(tree: SiteTree, name: str, inherited: frozenset[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where a key of the site may be set, the nearest first."""
    sites: dict[str, RawSite] = {site.name: site for site in tree}
    site = sites[name]
    yield site.path, site.own
    while site.parent is not None:
        site = sites[site.parent]
        yield site.path, {key: value for key, value in site.own.items() if key in inherited}


def _origin(key: str, places: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    outer, dot, inner = key.partition(".")
    for place, values in places:
        if outer not in values:
            continue
        value = values[outer]
        if not dot or not isinstance(value, Mapping) or inner in value:
            return place
    return ""
