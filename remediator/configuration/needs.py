"""What a site needs: whole names out of the short ones in `needs:`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.sites import Document, Site
from remediator.configuration.options import RemediatorSite


def whole_name(document: Document, site: Site, name: str) -> str | None:
    """Find the site that `name` means: an app of this site, else one beside it or further up, else any."""
    place = site.name
    while place:
        if f"{place}/{name}" in document.names:
            return f"{place}/{name}"
        place = place.rpartition("/")[0]
    return name if name in document.names else None


def needs_of(document: Document, site: Site) -> tuple[str, ...]:
    """Return the whole names of the sites that this one needs."""
    found = (whole_name(document, site, name) for name in site.part(RemediatorSite).needs)
    return tuple(name for name in found if name is not None)


def circles(needs: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield each circle of needs once, beginning with the site that comes first in the mapping."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        on_path: set[str] = set()
        steps = [(start, iter(needs[start]))] if start not in done else []
        while steps:
            name, following = steps[-1]
            if name not in on_path:
                path.append(name)
                on_path.add(name)
            nearest = next(following, None)
            if nearest is None:
                steps.pop()
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif nearest in on_path:
                yield tuple(path[path.index(nearest) :])
            elif nearest not in done and nearest in needs:
                steps.append((nearest, iter(needs[nearest])))
