"""The stress profiles: who asks for what, how often, and what Sitemedic should say to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Crowd:
    """Visitors who all do the same: one of `paths`, then a pause of `pause` seconds (from, to), again."""

    users: int
    paths: Sequence[str]
    pause: tuple[float, float] = (0.2, 0.8)


@dataclass(frozen=True)
class Profile:
    """A kind of load; `expects` names the alerts that the demo's thresholds make of it."""

    name: str
    what: str
    crowds: Sequence[Crowd]
    expects: Sequence[str] = ()

    @property
    def users(self) -> int:
        """Return how many visitors there are in all."""
        return sum(crowd.users for crowd in self.crowds)


_VISITORS = Crowd(4, ("/", "/", "/health"))
_BURNERS = Crowd(4, ("/cpu?seconds=2",), (0, 0.02))
_HOARDERS = Crowd(4, ("/memory?mb=40&seconds=30",), (1, 2))
_QUERIES = Crowd(4, ("/database?queries=40",), (0, 0.1))
_LATE = Crowd(4, ("/slow?seconds=2",), (0.1, 0.5))
_UNLUCKY = Crowd(4, ("/errors?rate=0.3",), (0.2, 0.5))
_FAILING_PAGES = Crowd(1, ("/errors?rate=1&seconds=10",), (4, 5))

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("light", "a few visitors look at the shop", (Crowd(6, ("/", "/", "/health"), (0.5, 1.5)),)),
        Profile(
            "cpu", "requests that burn CPU, one after the other", (_VISITORS, _BURNERS), ("ContainerHighCPU",)
        ),
        Profile(
            "memory",
            "requests that hold memory, as much as the shop gives",
            (_VISITORS, _HOARDERS),
            ("ContainerHighMemory",),
        ),
        Profile("database", "costly queries, one after the other", (_VISITORS, _QUERIES)),
        Profile(
            "errors",
            "requests that fail, and pages that do for a while",
            (_VISITORS, _UNLUCKY, _FAILING_PAGES),
            ("SiteDown",),
        ),
        Profile(
            "extreme",
            "all of it at once",
            (_VISITORS, _BURNERS, _HOARDERS, _QUERIES, _LATE, _UNLUCKY),
            ("ContainerHighCPU", "ContainerHighMemory"),
        ),
    )
}
