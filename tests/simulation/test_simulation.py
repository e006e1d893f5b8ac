"""Random incidents in simulated time: whatever happens, no invariant breaks, and each comes to its end."""

import time
from collections.abc import Callable

import pytest

from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from remediator.guards.verdict import Verdict
from remediator.model.facts import Facts, Step
from remediator.model.incident import Decision, Reason, State, Verb
from tests.simulation.plan import Cure, Plan, ServerPlan, SitePlan, Trouble, What
from tests.simulation.run import live
from tests.simulation.search import Seen, simulate


def told(seen: Seen, seconds: float) -> str:
    reasons = ", ".join(f"{name} {count}" for name, count in seen.decisions.most_common())
    acts = ", ".join(f"{name} {count}" for name, count in seen.acts.most_common())
    return (
        f"simulation: {seen.incidents} incidents in {seen.worlds} worlds, {seconds:.0f} s of CPU; "
        f"acts: {acts}; decisions: {reasons}"
    )


def lived_through(incidents: int, record: Callable[[str, object], None]) -> Seen:
    begun = time.process_time()
    seen = simulate(incidents)
    record("measured", told(seen, time.process_time() - begun))
    return seen


def test_random_incidents_break_no_invariant(record_property: Callable[[str, object], None]) -> None:
    seen = lived_through(600, record_property)
    assert seen.incidents >= 600
    assert {"restart_container", "reboot_linode", "run_hook"} <= set(seen.acts)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_ten_thousand_random_incidents_break_no_invariant(
    record_property: Callable[[str, object], None],
) -> None:
    seen = lived_through(10_000, record_property)
    assert seen.incidents >= 10_000
    reached = {name.partition("/")[2] for name in seen.decisions}
    assert set(Reason) - reached <= NOT_IN_THIS_WORLD, "say why the model cannot reach it, or make it do so"


NOT_IN_THIS_WORLD = {Reason.GUARD_ERROR, Reason.CRASH_LOOP}
"""A guard of ours that raises, and what a container's record says of Docker's own restarts."""


SERVER = ServerPlan("a", linode=7, may_reboot=True, may_boot=True)
CALM = Plan((SERVER,), (SitePlan("s0", "a"), SitePlan("s1"), SitePlan("s2")), (), seconds=900.0)


def healed_after(plan: Plan) -> tuple[float, list[str]]:
    """Return when the only incident was over, counted from its outage, and what was done."""
    watch = live(plan, decide)
    (incident,) = watch.memory.incidents.values()
    assert incident.state is State.RECOVERED
    assert incident.passed_at is not None or watch.done
    last = watch.done[-1].time if watch.done else incident.opened_at
    return last - plan.troubles[0].at, [one.action for one in watch.world.acts]


@pytest.mark.parametrize("reason", ["status", "body", "protocol", "timeout", "refused", "reset"])
@pytest.mark.parametrize("at", [5.0, 100.0, 107.0])
def test_in_a_calm_world_what_a_restart_heals_is_healed_within_a_minute_and_a_half(
    reason: str, at: float
) -> None:
    broken = Trouble(What.OUTAGE, at, 1e9, "s0", reason, Cure.RESTART)
    plan = Plan(CALM.servers, CALM.sites, (broken,), seconds=600.0)
    seconds, acts = healed_after(plan)
    assert acts == ["restart_container"]
    assert seconds <= 90.0


def test_a_second_restart_is_tried_and_a_dead_server_is_rebooted_and_one_switched_off_is_booted() -> None:
    second = Trouble(What.OUTAGE, 100.0, 1e9, "s0", "status", Cure.SECOND_RESTART)
    plan = Plan(CALM.servers, CALM.sites, (second,), cooldown=20.0, seconds=900.0)
    assert healed_after(plan)[1] == ["restart_container"] * 2
    dead = Trouble(What.SERVER_DEAD, 100.0, 1e9, "a", cure=Cure.REBOOT)
    assert healed_after(Plan(CALM.servers, CALM.sites, (dead,), seconds=900.0))[1] == ["reboot_linode"]
    off = Trouble(What.SERVER_OFF, 100.0, 1e9, "a", cure=Cure.BOOT)
    assert healed_after(Plan(CALM.servers, CALM.sites, (off,), seconds=900.0))[1] == ["boot_linode"]


def test_where_a_guard_raises_nothing_is_ever_done() -> None:
    def raises(_facts: Facts, _step: Step, _now: float) -> Verdict:
        raise ZeroDivisionError

    def decided(facts: Facts, now: float) -> Decision:
        return decide(facts, now, {**GUARDS, "raises": raises})

    broken = Trouble(What.OUTAGE, 100.0, 800.0, "s0", "status", Cure.RESTART)
    watch = live(Plan(CALM.servers, CALM.sites, (broken,), seconds=1200.0), decided)
    assert watch.world.acts == []
    assert f"{Verb.REFUSE}/{Reason.GUARD_ERROR}" in watch.decisions
