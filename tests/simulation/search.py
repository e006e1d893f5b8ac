"""Lets hypothesis search for a world that breaks an invariant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from tests.simulation.plan import Plan, What
from tests.simulation.process import Decide
from tests.simulation.run import live
from tests.simulation.watch import Broken, Watch
from tests.simulation.worlds import plans


@dataclass
class Seen:
    """What a search has lived through."""

    worlds: int = 0
    incidents: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)

    def add(self, watch: Watch) -> None:
        """Count one world."""
        self.worlds += 1
        self.incidents += len(watch.memory.incidents)
        self.acts.update(one.action for one in watch.world.acts)
        self.decisions.update(watch.decisions)


def without(guard: str) -> Decide:
    """Return the decision without one of its guards."""
    return partial(decide, guards={name: one for name, one in GUARDS.items() if name != guard})


def simulate(incidents: int) -> Seen:
    """Live through worlds until there were so many incidents; a broken invariant is raised, shrunk."""
    seen = Seen()
    while seen.incidents < incidents:
        _batch(seen, seen.worlds, 250 if incidents > 2000 else 60)
    return seen


def _batch(seen: Seen, number: int, worlds: int) -> None:
    def one(plan: Plan) -> None:
        seen.add(live(plan, decide))

    _run(one, plans(), worlds, number, (Phase.generate, Phase.shrink))


def first_broken(decided: Decide, *often: What, worlds: int = 1000) -> Broken | None:
    """Return the first invariant that breaks, None where none does in so many worlds.

    Most break within ten worlds, the rarest after some 170; which worlds are drawn hangs on what is imported.
    """

    def one(plan: Plan) -> None:
        live(plan, decided)

    try:
        _run(one, plans(*often), worlds, 0, (Phase.generate,))
    except Broken as broken:
        return broken
    return None


def _run(
    one: Callable[[Plan], None],
    worlds: SearchStrategy[Plan],
    count: int,
    number: int,
    phases: tuple[Phase, ...],
) -> None:
    """Run a function on so many worlds, the same ones for the same number."""
    wrapped = given(worlds)(one)
    wrapped = seed(number)(wrapped)
    settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )(wrapped)()
