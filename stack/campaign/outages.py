"""The outages: each breaks something, says what must not be touched meanwhile, and sees it through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stack.campaign.lab import watched
from stack.campaign.scene import Scene
from stack.campaign.sites_file import KNOWN_LINODE, NEEDING, OBSERVED, REBOOTABLE, UNWATCHED

ANSWERS = ("status", "body", "header", "protocol")
SILENCES = ("timeout", "reset")
HUMANS = ("dns", "certificate", "tls")
STORM = 12
"""Servers: with their sites, more than half of all fail."""


def _wrong_answer(scene: Scene) -> None:
    scene.sick(scene.dice.choice(ANSWERS))
    scene.see_through()


def _no_answer(scene: Scene) -> None:
    scene.sick(scene.dice.choice(SILENCES))
    scene.see_through()


def _container_stopped(scene: Scene) -> None:
    scene.stop(scene.container)
    scene.see_through()


def _stubborn(scene: Scene) -> None:
    scene.sick(scene.dice.choice(ANSWERS + SILENCES), stubborn=True)
    scene.see_through()


def _whole_server(scene: Scene) -> None:
    scene.stop(*scene.server.containers.values())
    scene.see_through()


def _heals_itself(scene: Scene) -> None:
    scene.sick(scene.dice.choice(ANSWERS + SILENCES))
    scene.lab.wait(scene.dice.uniform(0.6, 2.5))
    with scene.lab.world.changing():
        scene.container.sick = None
    scene.see_through()


def _flapping(scene: Scene) -> None:
    for _ in range(5):
        scene.sick(scene.dice.choice(ANSWERS))
        scene.see_through()


def _for_a_human(scene: Scene) -> None:
    scene.sick(scene.dice.choice(HUMANS))
    with _hands_off(scene, [scene.site], "human"):
        scene.see_through()


def _server_dead(scene: Scene) -> None:
    with scene.lab.world.changing():
        scene.server.ssh = scene.dice.choice(("silent", "reset"))
        scene.server.alive = False
        scene.container.running = scene.dice.random() < 0.5
    scene.see_through()


def _dead_ssh_living_neighbours(scene: Scene) -> None:
    with scene.lab.world.changing():
        scene.server.ssh = scene.dice.choice(("silent", "reset"))
        scene.container.sick, scene.container.stubborn = "timeout", True
    scene.see_through()


def _needs(scene: Scene) -> None:
    """Break a site and what it needs; the latter is a human's."""
    needed, needing = scene.server.containers["app-a"], scene.server.containers["app-c"]
    with scene.lab.world.changing():
        needed.sick, needed.stubborn = "certificate", True
        needing.sick = scene.dice.choice(ANSWERS)
    with _hands_off(scene, [needing.site], "needs"):
        scene.lab.wait(4)
    scene.see_through()


def _paused(scene: Scene) -> None:
    scope = scene.dice.choice((f"site:{scene.site}", f"server:{scene.server.name}", "all"))
    if scope == "all":
        sites = [*scene.lab.world.places]
    else:
        sites = [scene.site] if scope.startswith("site") else scene.sites
    body = {"scope": scope, "by": "Ada", "reason": "campaign"}
    if not scene.lab.api.insist("POST", "/api/v1/pause", body):
        return
    try:
        with _hands_off(scene, sites, "paused"):
            scene.sick(scene.dice.choice(ANSWERS))
            scene.lab.wait(4)
    finally:
        scene.lab.api.insist("DELETE", "/api/v1/pause", body)
    scene.see_through()


def _maintenance(scene: Scene) -> None:
    _edited(scene, "maintenance", scene.lab.sites.maintained)


def _removed(scene: Scene) -> None:
    scene.sick(scene.dice.choice(ANSWERS), stubborn=True)
    scene.lab.wait(scene.dice.uniform(0, 1.5))
    _edited(scene, "removed", scene.lab.sites.removed)


def _edited(scene: Scene, why: str, changed: set[str]) -> None:
    """Change sites.yml, let nothing be touched for a while, and change it back."""
    lab, site = scene.lab, scene.site
    if not _changes(scene, changed, on=True):
        return
    try:
        with _hands_off(scene, [site], why):
            if why == "removed":
                lab.exporter.removed.add(site)
            scene.sick(scene.dice.choice(ANSWERS))
            lab.wait(4)
        if why == "removed":
            scene.mend(site)
    finally:
        _changes(scene, changed, on=False)
        lab.exporter.removed.discard(site)
    scene.see_through()


def _changes(scene: Scene, changed: set[str], *, on: bool) -> bool:
    sites = scene.lab.sites
    with sites.lock:
        if on:
            changed.add(scene.site)
        else:
            changed.discard(scene.site)
        sites.write()
        return scene.lab.api.insist("POST", "/-/reload")


def _observed(scene: Scene) -> None:
    _only_watched(scene, "observed")


def _unwatched(scene: Scene) -> None:
    _only_watched(scene, "unwatched")


def _only_watched(scene: Scene, why: str) -> None:
    with _hands_off(scene, scene.sites, why):
        scene.sick(scene.dice.choice(ANSWERS + SILENCES))
        scene.lab.wait(4)
        scene.mend(scene.site)
    scene.see_through()


def _unknown_site(scene: Scene) -> None:
    ghost = scene.dice.choice(("ghost", "web-01-a; reboot", "../../etc/passwd", "web-01"))
    scene.lab.alertmanager.ghosts.add(ghost)
    scene.lab.wait(3)
    scene.lab.alertmanager.ghosts.discard(ghost)


def _monitor_half_cut(scene: Scene) -> None:
    _cut(scene, frozenset(scene.sites), 6.0)
    scene.see_through()


def _monitor_cut(scene: Scene) -> None:
    _cut(scene, frozenset(scene.lab.world.places), 6.0)


def _cut(scene: Scene, sites: frozenset[str], seconds: float) -> None:
    with scene.lab.alone["network"]:
        scene.lab.world.cut(sites, canaries=False)
        try:
            scene.lab.wait(seconds)
        finally:
            scene.lab.world.cut(frozenset(), canaries=True)


def _storm(scene: Scene) -> None:
    """Let most sites fail at once; all but a few are well again by themselves."""
    containers = [one for server in scene.servers for one in server.containers.values()]
    with scene.lab.world.changing():
        for one in containers:
            one.sick = scene.dice.choice(ANSWERS)
    scene.lab.wait(scene.dice.uniform(5, 8))
    with scene.lab.world.changing():
        for one in containers[4:]:
            one.sick = None
    scene.see_through()


@contextmanager
def _hands_off(scene: Scene, sites: Sequence[str], why: str) -> Iterator[None]:
    scene.lab.forbid(sites, why, on=True)
    try:
        yield
    finally:
        scene.lab.forbid(sites, why, on=False)


@dataclass(frozen=True)
class Outage:
    """How an outage is played, and on how many of which servers."""

    play: Callable[[Scene], None]
    servers: tuple[str, ...]
    count: int = 1


def _numbered(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"web-{number:02}" for number in range(first, last + 1))


ANYWHERE = tuple(watched())
MAY_REBOOT = _numbered(1, REBOOTABLE)
OUTAGES: dict[str, Outage] = {
    "wrong_answer": Outage(_wrong_answer, ANYWHERE),
    "no_answer": Outage(_no_answer, ANYWHERE),
    "container_stopped": Outage(_container_stopped, ANYWHERE),
    "server_dead": Outage(_server_dead, MAY_REBOOT),
    "whole_server": Outage(_whole_server, ANYWHERE),
    "heals_itself": Outage(_heals_itself, ANYWHERE),
    "stubborn": Outage(_stubborn, ANYWHERE),
    "flapping": Outage(_flapping, ANYWHERE),
    "dead_ssh_living_neighbours": Outage(_dead_ssh_living_neighbours, MAY_REBOOT),
    "server_dead_not_allowed": Outage(_server_dead, _numbered(REBOOTABLE + 1, KNOWN_LINODE + 2)),
    "for_a_human": Outage(_for_a_human, ANYWHERE),
    "paused": Outage(_paused, ANYWHERE),
    "maintenance": Outage(_maintenance, ANYWHERE),
    "removed": Outage(_removed, tuple(sorted(set(ANYWHERE) - NEEDING))),
    "observed": Outage(_observed, (OBSERVED,)),
    "unwatched": Outage(_unwatched, (UNWATCHED,)),
    "unknown_site": Outage(_unknown_site, (), count=0),
    "needs": Outage(_needs, tuple(sorted(NEEDING))),
    "monitor_half_cut": Outage(_monitor_half_cut, ANYWHERE, count=3),
    "monitor_cut": Outage(_monitor_cut, (), count=0),
    "storm": Outage(_storm, ANYWHERE, count=STORM),
}
