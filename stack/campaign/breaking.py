"""Outages that break something: a container, a server, many of them, or our own network."""

from __future__ import annotations

from stack.campaign.scene import Scene

ANSWERS = ("status", "body", "header", "protocol")
SILENCES = ("timeout", "reset")


def wrong_answer(scene: Scene) -> None:
    """Answer, but wrongly."""
    scene.sick(scene.dice.choice(ANSWERS))
    scene.see_through()


def no_answer(scene: Scene) -> None:
    """Answer no more, while the server lives."""
    scene.sick(scene.dice.choice(SILENCES))
    scene.see_through()


def container_stopped(scene: Scene) -> None:
    """Stop a container."""
    scene.stop(scene.container)
    scene.see_through()


def stubborn(scene: Scene) -> None:
    """Fail in a way that no restart mends."""
    scene.sick(scene.dice.choice(ANSWERS + SILENCES), stubborn=True)
    scene.see_through()


def whole_server(scene: Scene) -> None:
    """Stop all containers of a server at once."""
    scene.stop(*scene.server.containers.values())
    scene.see_through()


def heals_itself(scene: Scene) -> None:
    """Fail, and be well again about when it would be acted on."""
    scene.sick(scene.dice.choice(ANSWERS + SILENCES))
    scene.lab.wait(scene.dice.uniform(0.6, 2.5))
    with scene.lab.world.changing():
        scene.container.sick = None
    scene.see_through()


def flapping(scene: Scene) -> None:
    """Fail again soon after each time it was healed."""
    for _ in range(5):
        scene.sick(scene.dice.choice(ANSWERS))
        scene.see_through()


def server_dead(scene: Scene) -> None:
    """Let a server die with all that is on it."""
    with scene.lab.world.changing():
        scene.server.ssh = scene.dice.choice(("silent", "reset"))
        scene.server.alive = False
        scene.container.running = scene.dice.random() < 0.5
    scene.see_through()


def dead_ssh_living_neighbours(scene: Scene) -> None:
    """Lose SSH and one site, while the others on the server are well."""
    with scene.lab.world.changing():
        scene.server.ssh = scene.dice.choice(("silent", "reset"))
        scene.container.sick, scene.container.stubborn = "timeout", True
    scene.see_through()


def server_off(scene: Scene) -> None:
    """Switch a Linode off, as a person or Linode would."""
    assert scene.server.linode is not None
    with scene.lab.world.changing():
        scene.server.alive = False
    scene.lab.linode.set_status(scene.server.linode, "offline")
    scene.see_through()


def monitor_half_cut(scene: Scene) -> None:
    """Lose our own way to some sites and to every canary."""
    _cut(scene, frozenset(scene.sites), 6.0)
    scene.see_through()


def monitor_cut(scene: Scene) -> None:
    """Lose our own network altogether."""
    _cut(scene, frozenset(scene.lab.world.places), 6.0)


def _cut(scene: Scene, sites: frozenset[str], seconds: float) -> None:
    with scene.lab.alone["network"]:
        scene.lab.world.cut(sites, canaries=False)
        try:
            scene.lab.wait(seconds)
        finally:
            scene.lab.world.cut(frozenset(), canaries=True)


def storm(scene: Scene) -> None:
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
