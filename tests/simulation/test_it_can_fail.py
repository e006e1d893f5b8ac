"""The simulation can fail: whichever guard is taken away, or part of the decision, an invariant breaks."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import remediator.deciding.playbook
from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from remediator.model.facts import Facts
from remediator.model.incident import Decision, State
from tests.simulation.plan import Cure, Plan, ServerPlan, SitePlan, Trouble, What
from tests.simulation.process import Decide
from tests.simulation.run import live
from tests.simulation.search import first_broken, without
from tests.simulation.watch import Broken

Change = Callable[[Facts, float], Facts]

WITHOUT = [
    ("paused", (What.PAUSED,), {"paused"}),
    ("max_unhealthy", (What.STORM,), {"over_the_cap", "after_a_storm", "sites_unknown"}),
    ("canaries", (What.CUT, What.NO_CANARIES), {"no_canary"}),
    ("storm_cooldown", (What.STORM, What.CUT), {"after_a_storm"}),
    ("fresh_probe", (What.AGED,), {"no_failing_probe"}),
    ("maintenance", (What.MAINTENANCE,), {"maintenance"}),
    ("silence", (What.SILENCED, What.SILENCES_UNKNOWN), {"silenced", "silences_unknown"}),
    ("start_up", (What.CRASH,), {"start_up"}),
    ("container_ended", (What.CONTAINER_TOLD,), {"container_runs"}),
    ("target", (), {"no_target"}),
    ("own_host", (What.SERVER_DEAD, What.SERVER_OFF), {"own_host", "own_container"}),
    ("needs", (), {"needs"}),
    ("linode_status", (What.FOREIGN_EVENT, What.SERVER_DEAD), {"foreign_event"}),
    ("neighbours", (What.NO_WAY_IN, What.SERVER_DEAD), {"healthy_neighbour"}),
    ("server_lease", (What.STORM,), {"two_on_one_server"}),
    ("cooldown", (), {"cooldown"}),
    ("attempt_budget", (), {"budget"}),
    ("mode", (), {"unapproved", "observe"}),
]
TWO_LOCKS = [("may_reboot", What.SERVER_DEAD), ("may_boot", What.SERVER_OFF)]


def test_every_guard_is_taken_away_in_one_of_these_tests() -> None:
    assert {name for name, *_rest in (*WITHOUT, *TWO_LOCKS)} == set(GUARDS)


SLOW = {"own_host", "neighbours", "paused"}


@pytest.mark.parametrize(
    ("guard", "often", "invariants"),
    [pytest.param(*one, marks=[pytest.mark.full] if one[0] in SLOW else [], id=one[0]) for one in WITHOUT],
)
def test_without_a_guard_an_invariant_breaks(
    guard: str, often: tuple[What, ...], invariants: set[str]
) -> None:
    broken = first_broken(without(guard), *often)
    assert broken is not None, f"nothing notices that {guard} is gone"
    assert broken.invariant in invariants, broken


@pytest.mark.full
@pytest.mark.parametrize(("guard", "often"), TWO_LOCKS)
def test_the_playbook_and_a_guard_both_hold_what_is_not_allowed_and_without_both_it_is_done(
    monkeypatch: pytest.MonkeyPatch, guard: str, often: What
) -> None:
    """The guard is the second lock: the playbook does not choose the step in the first place."""
    assert first_broken(without(guard), often, worlds=20) is None
    monkeypatch.setattr(
        remediator.deciding.playbook, "hindrance", _permits(remediator.deciding.playbook.hindrance)
    )
    assert first_broken(decide, often, worlds=20) is None
    broken = first_broken(without(guard), often)
    assert broken is not None
    assert broken.invariant == "not_allowed"


def _permits(asked: Callable[..., object]) -> Callable[..., object]:
    def hindrance(action: str, kind: object, found: object, server: object) -> object:
        allowed = replace(server, linode=1, may_reboot=True, may_boot=True)  # type: ignore[type-var]
        return asked(action, kind, found, allowed)

    return hindrance


def _passing_probe_is_ignored(facts: Facts, _now: float) -> Facts:
    if facts.probe is None or not facts.probe.success:
        return facts
    return replace(facts, probe=replace(facts.probe, success=False, reason="status"))


def _one_attempt_more(facts: Facts, _now: float) -> Facts:
    book = facts.playbook
    wrong = tuple(replace(one, at_most=one.at_most + 1) for one in book.answers_wrongly)
    silent = tuple(replace(one, at_most=one.at_most + 1) for one in book.does_not_answer)
    return replace(facts, playbook=replace(book, answers_wrongly=wrong, does_not_answer=silent))


def _in_flight_is_not_counted(facts: Facts, _now: float) -> Facts:
    return replace(facts, in_flight=frozenset())


def _other_incidents_are_forgotten(facts: Facts, _now: float) -> Facts:
    return replace(facts, history=facts.attempts)


def _taken_back_from_a_human(facts: Facts, _now: float) -> Facts:
    return replace(facts, incident=replace(facts.incident, state=State.OPEN))


def _every_server_looks_dead(facts: Facts, _now: float) -> Facts:
    look = facts.incident.look
    dead = replace(look, ssh="unreachable") if look is not None else None
    return replace(facts, incident=replace(facts.incident, look=dead))


def _an_approval_never_ends(facts: Facts, now: float) -> Facts:
    lasting = tuple(
        replace(one, answered_at=now, expires_at=now + 1) if one.answer else one for one in facts.approvals
    )
    return replace(facts, approvals=lasting)


CHANGED: list[tuple[Change, tuple[What, ...], set[str]]] = [
    (
        _passing_probe_is_ignored,
        (What.FALSE_ALERT,),
        {"no_failing_probe", "healthy_but_open", "healthy_neighbour"},
    ),
    (_one_attempt_more, (), {"too_often"}),
    (_other_incidents_are_forgotten, (), {"budget", "cooldown"}),
    (
        _taken_back_from_a_human,
        (What.NO_WAY_IN, What.SERVER_OFF),
        {"with_a_human", "unapproved", "not_healed"},
    ),
    (_every_server_looks_dead, (), {"living_server", "not_allowed", "healthy_neighbour", "not_healed"}),
    (_an_approval_never_ends, (), {"unapproved"}),
]


@pytest.mark.full
@pytest.mark.parametrize(
    ("change", "often", "invariants"), CHANGED, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_decision_on_changed_facts_breaks_an_invariant(
    change: Change, often: tuple[What, ...], invariants: set[str]
) -> None:
    def decided(facts: Facts, now: float) -> Decision:
        return decide(change(facts, now), now)

    broken = first_broken(decided, *often)
    assert broken is not None, f"nothing notices: {change.__name__}"
    assert broken.invariant in invariants, broken


def test_what_is_in_flight_must_be_counted() -> None:
    """Two sites, each on a server of its own, fail in the same moment."""
    servers = (ServerPlan("a"), ServerPlan("b"))
    both = tuple(Trouble(What.OUTAGE, 100.0, 600.0, name, "status", Cure.RESTART) for name in ("s0", "s1"))
    plan = Plan(servers, (SitePlan("s0", "a"), SitePlan("s1", "b")), both, seconds=1000.0)
    assert len(live(plan, decide).world.acts) == 2
    with pytest.raises(Broken, match="one_at_a_time"):
        live(plan, lambda facts, now: decide(_in_flight_is_not_counted(facts, now), now))


def _asked_first(facts: Facts, now: float) -> Decision:
    first = {"mode": GUARDS["mode"]}
    return decide(facts, now, {**first, **{name: one for name, one in GUARDS.items() if name != "mode"}})


def _storms_call_people(facts: Facts, now: float) -> Decision:
    last = ("max_unhealthy", "canaries", "storm_cooldown")
    rest = {name: one for name, one in GUARDS.items() if name not in last}
    return decide(facts, now, {**rest, **{name: GUARDS[name] for name in last}})


ORDERS: list[tuple[Decide, tuple[What, ...], set[str]]] = [
    (
        _asked_first,
        (What.PAUSED,),
        {"paused", "cooldown", "over_the_cap", "after_a_storm", "start_up", "no_target"},
    ),
    (_storms_call_people, (What.STORM, What.CUT), {"a_human_in_a_storm", "over_the_cap"}),
]


@pytest.mark.full
@pytest.mark.parametrize(
    ("decided", "often", "invariants"), ORDERS, ids=lambda one: getattr(one, "__name__", "")
)
def test_the_order_of_the_guards_is_noticed(
    decided: Decide, often: tuple[What, ...], invariants: set[str]
) -> None:
    broken = first_broken(decided, *often)
    assert broken is not None
    assert broken.invariant in invariants, broken
