"""Outages of what nobody may touch, or not yet: people and sites.yml say so, and the ledger knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from stack.campaign.breaking import ANSWERS, SILENCES
from stack.campaign.lab import TIMING
from stack.campaign.scene import Scene

HUMANS = ("dns", "certificate", "tls")
SILENCE_IS_KNOWN = 2.0
HOLD = 6.0
"""Seconds for which a site fails untouched: longer than it takes to be healed."""
SAID_WITHIN = 1.2
"""Seconds that people have to say so while a probe is under way."""


@contextmanager
def _hands_off(scene: Scene, sites: Sequence[str], why: str, at_once: bool = False) -> Iterator[None]:
    scene.lab.forbid(sites, why, on=True, at_once=at_once)
    try:
        yield
    finally:
        scene.lab.forbid(sites, why, on=False)


def for_a_human(scene: Scene) -> None:
    """Fail for a reason that no restart mends."""
    scene.sick(scene.dice.choice(HUMANS))
    with _hands_off(scene, [scene.site], "human"):
        scene.see_through()


def needs(scene: Scene) -> None:
    """Break a site and what it needs; the latter is a human's."""
    needed, needing = scene.server.containers["app-a"], scene.server.containers["app-c"]
    with scene.lab.world.changing():
        needed.sick, needed.stubborn = "certificate", True
        needing.sick = scene.dice.choice(ANSWERS)
    with _hands_off(scene, [needing.site], "needs"):
        scene.lab.wait(HOLD)
    scene.see_through()


def paused(scene: Scene) -> None:
    """Fail while somebody has paused the site, the server or everything."""
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
            scene.lab.wait(HOLD)
    finally:
        scene.lab.api.insist("DELETE", "/api/v1/pause", body)
    scene.see_through()


def maintenance(scene: Scene) -> None:
    """Fail inside a maintenance window."""
    _edited(scene, "maintenance", scene.lab.sites.maintained)


def removed(scene: Scene) -> None:
    """Fail, and be taken out of sites.yml."""
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
            lab.wait(HOLD)
        if why == "removed":
            scene.mend(site)
    finally:
        _changes(scene, changed, on=False)
        lab.exporter.removed.discard(site)
    scene.see_through()


def _changes(scene: Scene, changed: set[str], *, on: bool, seconds: float = 30.0) -> bool:
    sites = scene.lab.sites
    with sites.lock:
        if on:
            changed.add(scene.site)
        else:
            changed.discard(scene.site)
        sites.write()
        return scene.lab.api.insist("POST", "/-/reload", seconds=seconds)


def silenced(scene: Scene) -> None:
    """Silence an alert that fires already, and only then let it be something that could be healed."""
    silenced = scene.lab.alertmanager.silenced
    scene.sick("certificate")
    scene.lab.wait(1)
    silenced.add(scene.site)
    try:
        with scene.lab.alone["alertmanager"]:  # while it is away nobody can know of it
            scene.lab.wait(SILENCE_IS_KNOWN)
        with _hands_off(scene, [scene.site], "silenced", at_once=True):
            scene.sick(scene.dice.choice(ANSWERS))
            scene.lab.wait(HOLD)
    finally:
        silenced.discard(scene.site)
    scene.see_through()


def silenced_late(scene: Scene) -> None:
    """Silence a site's alert between the decision to heal it and the act."""
    lab, there = scene.lab, scene.lab.alertmanager

    def begin() -> bool:
        with lab.alone["silences"]:
            if there.gone:
                return False  # nobody can know of it
            there.needed.add(scene.site)
        there.silenced.add(scene.site)
        return True

    try:
        _held_late(scene, "silenced", begin, lambda: there.silenced.discard(scene.site))
    finally:
        there.needed.discard(scene.site)
    scene.see_through()


def paused_late(scene: Scene) -> None:
    """Pause a site or its server between the decision to heal it and the act."""
    scope = scene.dice.choice((f"site:{scene.site}", f"server:{scene.server.name}"))
    api, body = scene.lab.api, {"scope": scope, "by": "Ada", "reason": "campaign"}
    _held_late(
        scene,
        "paused",
        lambda: api.insist("POST", "/api/v1/pause", body, SAID_WITHIN),
        lambda: api.insist("DELETE", "/api/v1/pause", body),
    )
    scene.see_through()


def maintenance_late(scene: Scene) -> None:
    """Begin a maintenance window between the decision to heal a site and the act."""
    maintained = scene.lab.sites.maintained
    _held_late(
        scene,
        "maintenance",
        lambda: _changes(scene, maintained, on=True, seconds=SAID_WITHIN),
        lambda: _changes(scene, maintained, on=False),
    )
    scene.see_through()


def _held_late(scene: Scene, why: str, begin: Callable[[], bool], end: Callable[[], object]) -> None:
    """Fail, and have people say hands off while one of the first fresh probes that fail is under way.

    The probe before an act is one of them: what they have said by its answer must be heard. So nothing is
    under way that may still come, unless the answer came too late and the remediator did not wait for it.
    """
    lab, begun = scene.lab, list[float]()

    def say() -> None:
        asked = time.monotonic()
        if begin():
            heard = time.monotonic() - asked < TIMING["probe_timeout"] * 0.75
            lab.forbid([scene.site], why, on=True, at_once=heard)
            begun.append(asked)

    lab.exporter.meanwhile[scene.site] = scene.dice.randint(1, 3), say
    try:
        scene.sick(scene.dice.choice(ANSWERS + SILENCES))
        deadline = time.monotonic() + lab.within / 3
        while scene.site in lab.exporter.meanwhile and time.monotonic() < deadline:
            lab.wait(0.1)
            if lab.world.healthy(scene.site) and scene.site not in lab.open_sites:
                break  # it was healed with fewer probes
        lab.wait(HOLD)
    finally:
        lab.exporter.meanwhile.pop(scene.site, None)
        if begun:
            lab.forbid([scene.site], why, on=False)
        with suppress(InterruptedError):
            end()


def approved(scene: Scene) -> None:
    """Fail where a person is asked, who approves."""
    _asked(scene, "approved")


def denied(scene: Scene) -> None:
    """Fail where a person is asked, who denies."""
    _asked(scene, "denied")


def _asked(scene: Scene, verdict: str) -> None:
    """Let a person be asked, and answer after a while; an approval may be needed again for the next try."""
    lab, api = scene.lab, scene.lab.api
    with _hands_off(scene, [scene.site], "unapproved", at_once=True):
        scene.sick(scene.dice.choice(ANSWERS))
        question = None
        for _ in range(60):
            lab.wait(0.5)
            question = api.question(scene.site)
            if question is not None:
                break
        lab.wait(2)
    if question is not None:
        api.insist("POST", f"/api/v1/approvals/{question}", {"verdict": verdict, "by": "Ada"}, 10)
    if verdict == "denied":
        with _hands_off(scene, [scene.site], "unapproved", at_once=True):
            lab.wait(3)
    lab.wait(SILENCE_IS_KNOWN)
    scene.see_through(answer=True)


def observed(scene: Scene) -> None:
    """Fail where sites.yml says observe."""
    _only_watched(scene, "observed")


def unwatched(scene: Scene) -> None:
    """Fail where sites.yml has no recover: block."""
    _only_watched(scene, "unwatched")


def _only_watched(scene: Scene, why: str) -> None:
    with _hands_off(scene, scene.sites, why):
        scene.sick(scene.dice.choice(ANSWERS + SILENCES))
        scene.lab.wait(HOLD)
        scene.mend(scene.site)
    scene.see_through()


def unknown_site(scene: Scene) -> None:
    """Send an alert about a site that sites.yml does not have."""
    ghost = scene.dice.choice(("ghost", "web-01-a; reboot", "../../etc/passwd", "web-01"))
    scene.lab.alertmanager.ghosts.add(ghost)
    scene.lab.wait(3)
    scene.lab.alertmanager.ghosts.discard(ghost)
