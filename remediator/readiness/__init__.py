"""Would healing work right now? What it needs is looked at before it is needed; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from remediator.model.action import World
from remediator.readiness import servers
from remediator.readiness.check import Check, Name, Report
from remediator.readiness.plan import Plan, ServerPlan, plan_of
from remediator.readiness.rounds import Rounds
from remediator.readiness.surroundings import Surroundings, look_around, look_at_linode, look_at_token

__all__ = ["Check", "Name", "Plan", "Report", "Rounds", "Surroundings", "examine", "plan_of"]

AT_ONCE = 16


def examine(plan: Plan, around: Surroundings | None, world: World) -> Report:
    """Look at everything once, the servers side by side; without surroundings at servers and Linodes only."""

    def server(one: ServerPlan) -> list[Check]:
        return [*servers.look(one, world), *look_at_linode(one, world.linode)]

    jobs: list[Callable[[], list[Check]]] = [partial(look_at_token, plan, world.linode)]
    if around is not None:
        jobs.insert(0, partial(look_around, plan, around))
    jobs += [partial(server, one) for _, one in sorted(plan.servers.items())]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="readiness") as pool:
        answers = list(pool.map(lambda job: job(), jobs))
    return Report(world.now(), tuple(check for checks in answers for check in checks))
