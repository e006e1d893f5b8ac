"""One world from its beginning to its end: alerts, people, kills, and a long calm at last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediator.model.incident import CLOSED, CONTAINER_DOWN, SITE_DOWN
from tests.simulation.gathering import Gathering
from tests.simulation.memory import Memory
from tests.simulation.plan import Plan, What
from tests.simulation.process import Decide, Process
from tests.simulation.timeline import Timeline
from tests.simulation.watch import Watch
from tests.simulation.world import TICK, World


@dataclass
class Life:
    """A world, its rows, and the process that runs now."""

    world: World
    memory: Memory
    watch: Watch
    timeline: Timeline
    gathering: Gathering
    decide: Decide
    process: Process | None = None
    killed: int = 0
    skew: float = 0.0
    before: Mapping[str, str | None] = field(default_factory=dict)

    def begin(self, time: float, jump: float) -> None:
        """Start a process; the clock was set by so much since the last one."""
        self.skew += jump
        self.process = Process(
            self.world, self.memory, self.watch, self.timeline, self.gathering, self.decide, self.skew
        )
        self.process.asked = self.killed
        self.process.start(time)

    def kill(self, time: float) -> None:
        """Kill the process: it does nothing more, and its memory has gone."""
        if self.process is not None:
            self.process.alive = False
            self.process = None
            self.killed += 1

    def tick(self, time: float) -> None:
        """Let alerts fire for what has failed twice in a row, false ones, and those of containers."""
        before, self.before = self.before, self.world.scheduled(time)
        for name, reason in self.before.items():
            failed = reason is not None and before.get(name) is not None
            rumour = self.world.now(What.FALSE_ALERT, time, name) is not None
            if failed or rumour:
                self._alert(SITE_DOWN, name, time)
            elif self.world.now(What.CONTAINER_TOLD, time, name) is not None:
                self._alert(CONTAINER_DOWN, name, time)
        if time + TICK <= self.world.plan.seconds:
            self.timeline.at(time + TICK, self.tick)

    def _alert(self, alert: str, site: str, time: float) -> None:
        """Open an incident, or tell the open one that its site is down by now."""
        if self.process is None:
            return
        found = self.memory.open_of(site)
        if found is None:
            number = self.memory.open_incident(site, self.process.clock(time), alert)
            self.process.wake(number, time)
        elif alert == SITE_DOWN and found.alert != alert:
            self.memory.change(found.id, alert=alert)
            self.process.wake(found.id, time)


def live(plan: Plan, decide: Decide) -> Watch:
    """Let a world live to its end; raise Broken where an invariant does not hold."""
    world, memory, timeline = World(plan), Memory(), Timeline()
    watch = Watch(world, memory)
    life = Life(world, memory, watch, timeline, Gathering(world, memory), decide)
    life.begin(0.0, 0.0)
    for one in world.every(What.CRASH):
        timeline.at(one.at, life.kill)
        timeline.at(one.at + one.lasts, lambda time, jump=one.much: _again(life, time, jump))  # type: ignore[misc]
    for one in (*world.every(What.PAUSED), *world.every(What.REMOVED), *world.every(What.OBSERVED)):
        timeline.at(one.at + one.lasts, lambda time: _wake_all(life, time))
    timeline.at(TICK, life.tick)
    timeline.run(plan.seconds)
    watch.finish(plan.seconds)
    return watch


def _again(life: Life, time: float, jump: float) -> None:
    if life.process is None:
        life.begin(time, jump)


def _wake_all(life: Life, time: float) -> None:
    if life.process is not None:
        for incident in life.memory.incidents.values():
            if incident.state not in CLOSED:
                life.process.wake(incident.id, time)
