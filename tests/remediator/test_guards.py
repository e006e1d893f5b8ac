"""What the guards say, with the numbers they say it on; their edges; and what holds for all of them."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from remediator.guards.verdict import Allow, Verdict, WaitUntil
from remediator.model.action import JSON
from remediator.model.facts import Facts, Limits, Sites, Step
from remediator.model.holds import Answer, Approval, Maintenance, Pause, Storm
from remediator.model.incident import Attempt, Lease, Mode, Reason, Stage, State, Verb
from remediator.model.seen import Canary, Look, Probe, SiteState
from tests.remediator.any_facts import any_facts
from tests.remediator.deciding import (
    BOOT,
    DEAD_SERVER,
    FACTS,
    LOOKING,
    NOW,
    REBOOT,
    RESTART,
    TARGET,
    attempt,
    early,
    states,
)

EVENT = f"{datetime.fromtimestamp(NOW - 60, UTC):%Y-%m-%dT%H:%M:%S}"


def approval(**values: Any) -> Approval:
    said = Approval(
        1,
        1,
        "restart_container",
        "restart_container",
        "",
        NOW - 90,
        Answer.APPROVED,
        "Ada",
        NOW - 60,
        NOW + 60,
    )
    return replace(said, **values)


def seen(
    status: str, action: str = "linode_reboot", event: str = "finished", age: float = 1.0
) -> dict[str, Any]:
    """Facts with a look at a Linode with one event of somebody else."""
    events: list[JSON] = [{"action": action, "status": event, "created": EVENT, "foreign": True}]
    look = Look(NOW - age, "ok", {"linode": {"status": status, "recent_events": events}})
    return {"incident": replace(FACTS.incident, look=look)}


def ask(guard: str, step: Step, **change: Any) -> Verdict:
    return GUARDS[guard](replace(FACTS, **change), step, NOW)


NUMBERS: list[tuple[str, Step, dict[str, Any], Reason | None, dict[str, Any]]] = [
    (
        "paused",
        RESTART,
        {"pauses": (Pause("all", "Ada", "", 7.0),)},
        Reason.PAUSED,
        {"scope": "all", "since": 7.0},
    ),
    ("container_ended", RESTART, early("exited"), None, {"container": "exited"}),
    ("max_unhealthy", RESTART, {}, None, {"sites": 4, "unhealthy": 1, "share": 0.25, "cap": 0.5}),
    (
        "max_unhealthy",
        RESTART,
        {"in_flight": frozenset({"blog", "wiki"})},
        Reason.TOO_MANY_UNHEALTHY,
        {"sites": 4, "unhealthy": 3, "share": 0.75, "cap": 0.5},
    ),
    (
        "canaries",
        RESTART,
        {"canaries": (Canary("a", False), Canary("b", False))},
        Reason.CANARIES_FAIL,
        {"canaries": 2, "canaries_answering": 0},
    ),
    ("canaries", REBOOT, {"canaries": ()}, Reason.NO_CANARIES, {"canaries": 0, "canaries_answering": 0}),
    ("canaries", RESTART, {}, None, {"canaries": 1, "canaries_answering": 1}),
    (
        "storm_cooldown",
        RESTART,
        {"storm": Storm(1.0, NOW - 20, "x")},
        Reason.STORM_COOLDOWN,
        {"storm_seen_at": NOW - 20},
    ),
    (
        "fresh_probe",
        RESTART,
        {"probe": Probe("www", False, NOW - 10.5)},
        Reason.NO_FRESH_PROBE,
        {"probe_age": 10.5},
    ),
    ("fresh_probe", RESTART, {}, None, {"probe_age": 0.5, "probe_reason": "status"}),
    (
        "maintenance",
        RESTART,
        {"maintenance": Maintenance("m", NOW + 9)},
        Reason.MAINTENANCE,
        {"window_ends": NOW + 9},
    ),
    ("start_up", RESTART, {"started_at": NOW - 14}, Reason.START_UP, {"grace": 15.0}),
    (
        "target",
        RESTART,
        {"target": replace(TARGET, container=None)},
        Reason.NO_TARGET,
        {"containers": 0},
    ),
    (
        "target",
        RESTART,
        {"target": replace(TARGET, compose=("a", "b"))},
        Reason.NO_TARGET,
        {"containers": 2},
    ),
    ("target", RESTART, {}, None, {"server": "web", "target": "nginx"}),
    ("may_reboot", REBOOT, {}, None, {"linode": 7}),
    ("linode_status", RESTART, seen("rebooting"), Reason.LINODE_BUSY, {"linode_status": "rebooting"}),
    (
        "linode_status",
        REBOOT,
        seen("running"),
        Reason.FOREIGN_EVENT,
        {"linode_status": "running", "event_at": NOW - 60},
    ),
    ("linode_status", RESTART, seen("running"), None, {"linode_status": "running"}),
    (
        "neighbours",
        REBOOT,
        {"neighbours": (Probe("b", True, NOW), Probe("a", False, NOW))},
        Reason.HEALTHY_NEIGHBOUR,
        {"neighbours": 2, "healthy_neighbours": 1},
    ),
    (
        "server_lease",
        RESTART,
        {"lease": Lease("web", "x", 3, NOW + 5, 12)},
        Reason.SERVER_BUSY,
        {"expires_at": NOW + 5, "attempt": 12},
    ),
    (
        "cooldown",
        RESTART,
        {"history": (attempt(finished_at=NOW - 20),)},
        Reason.COOLDOWN,
        {"ready_at": NOW + 40},
    ),
    (
        "attempt_budget",
        RESTART,
        {"history": tuple(attempt(number) for number in range(3))},
        Reason.ATTEMPT_BUDGET,
        {"attempts": 3, "server_reboots": 0, "budget": 3, "per_seconds": 3600.0},
    ),
    (
        "attempt_budget",
        RESTART,
        {},
        None,
        {"attempts": 0, "server_reboots": 0, "budget": 3, "per_seconds": 3600.0},
    ),
    ("mode", RESTART, {"mode": Mode.OBSERVE}, Reason.OBSERVE_MODE, {"would": "restart_container"}),
    (
        "mode",
        RESTART,
        {"mode": Mode.APPROVE, "approvals": (approval(id=5),)},
        None,
        {"approved_by": "Ada", "approval": 5},
    ),
]


@pytest.mark.parametrize(("guard", "step", "change", "reason", "numbers"), NUMBERS)
def test_a_guard_says_why_and_on_which_numbers(
    guard: str, step: Step, change: dict[str, Any], reason: Reason | None, numbers: dict[str, Any]
) -> None:
    verdict = ask(guard, step, **change)
    assert (None if isinstance(verdict, Allow) else verdict.reason) is reason
    assert dict(verdict.numbers) == numbers
    assert isinstance(verdict, Allow) or verdict.detail


# --- the share of unhealthy sites, at its edges ---

NO_CAP, ALL = Limits(max_unhealthy=0.0), Limits(max_unhealthy=1.0)
ELSEWHERE = {"www": "web", "a": "web", "b": "db", "c": "db"}
SHARES = [
    ("one site of one", RESTART, states(www=False), set(), Limits(), None),
    ("one site of one, at a cap of 0", RESTART, states(www=False), set(), NO_CAP, Reason.TOO_MANY_UNHEALTHY),
    ("one site of one, at a cap of 100 %", RESTART, states(www=False), set(), ALL, None),
    ("one of two", RESTART, states(www=False, a=True), set(), Limits(), None),
    ("two of two", RESTART, states(www=False, a=False), set(), Limits(), None),
    ("the other of two in flight", RESTART, states(www=False, a=True), {"a"}, Limits(), Reason.ONE_AT_A_TIME),
    ("one of three", RESTART, states(www=False, a=True, b=True), set(), Limits(), None),
    (
        "two of three on two servers",
        RESTART,
        states(www=False, a=True, b=False),
        set(),
        Limits(),
        Reason.TOO_MANY_UNHEALTHY,
    ),
    (
        "two of four: the cap itself is allowed",
        RESTART,
        states(www=False, a=True, b=False, c=True),
        set(),
        Limits(),
        None,
    ),
    (
        "in flight counts as unhealthy",
        RESTART,
        states(www=False, a=True, b=True, c=False),
        {"b"},
        Limits(),
        Reason.TOO_MANY_UNHEALTHY,
    ),
    (
        "in flight and failing counts once",
        RESTART,
        states(www=False, a=True, b=False, c=True),
        {"b"},
        Limits(),
        None,
    ),
    (
        "all of four at a cap of 100 %",
        RESTART,
        states(www=False, a=False, b=False, c=False),
        set(),
        ALL,
        None,
    ),
    (
        "all of four on two servers",
        RESTART,
        states(www=False, a=False, b=False, c=False),
        set(),
        Limits(),
        Reason.TOO_MANY_UNHEALTHY,
    ),
    (
        "never probed is not unhealthy",
        RESTART,
        states(www=False, a=None, b=None, c=None),
        set(),
        Limits(),
        None,
    ),
    ("one healthy site more than it knows", RESTART, states(a=True, b=True), set(), Limits(), None),
    (
        "what is in flight and has left sites.yml counts",
        RESTART,
        states(www=False, a=True, b=True),
        {"gone"},
        Limits(),
        Reason.TOO_MANY_UNHEALTHY,
    ),
]


@pytest.mark.parametrize(("name", "step", "sites", "in_flight", "limits", "reason"), SHARES)
def test_the_share_of_unhealthy_sites_at_its_edges(
    name: str, step: Step, sites: Sites, in_flight: set[str], limits: Limits, reason: Reason | None
) -> None:
    change = {"sites": sites, "in_flight": frozenset(in_flight), "limits": limits, "servers": ELSEWHERE}
    verdict = ask("max_unhealthy", step, **change)
    assert (None if isinstance(verdict, Allow) else verdict.reason) is reason, name


def test_everything_on_one_machine_is_worked_on_one_at_a_time() -> None:
    sites, servers = (
        states(www=False, a=False, b=False, c=False),
        dict.fromkeys("abc", "web") | {"www": "web"},
    )
    alone = {"sites": sites, "servers": servers, "limits": Limits(max_unhealthy=0.3)}
    assert isinstance(ask("max_unhealthy", RESTART, **alone), Allow)
    assert isinstance(ask("max_unhealthy", REBOOT, **alone), Allow)
    busy = ask("max_unhealthy", RESTART, **alone, in_flight=frozenset({"a"}))
    assert isinstance(busy, WaitUntil)
    assert busy.reason is Reason.ONE_AT_A_TIME


# --- clocks ---

AHEAD, BEHIND = 7200.0, -7200.0
CLOCKS = [
    ("a probe of the future is none", "fresh_probe", {"probe": Probe("www", False, NOW + AHEAD)}, False),
    ("a probe a blink ahead is one", "fresh_probe", {"probe": Probe("www", False, NOW + 0.9)}, True),
    ("a probe of hours ago is none", "fresh_probe", {"probe": Probe("www", False, NOW + BEHIND)}, False),
    (
        "what ended in the future has not cooled down",
        "cooldown",
        {"history": (attempt(finished_at=NOW + 60),)},
        False,
    ),
    (
        "what began in the future counts",
        "attempt_budget",
        {"history": tuple(attempt(n, created_at=NOW + AHEAD) for n in range(3))},
        False,
    ),
    ("a lease of the future holds", "server_lease", {"lease": Lease("web", "x", 1, NOW + AHEAD)}, False),
    (
        "a lease of hours ago holds nothing",
        "server_lease",
        {"lease": Lease("web", "x", 1, NOW + BEHIND)},
        True,
    ),
    ("started in the future is just started", "start_up", {"started_at": NOW + AHEAD}, False),
    ("a storm of the future has just been", "storm_cooldown", {"storm": Storm(NOW, NOW + AHEAD, "x")}, False),
    ("a window that ended holds nothing", "maintenance", {"maintenance": Maintenance("m", NOW)}, True),
    (
        "an approval of the future is none",
        "mode",
        {"mode": Mode.APPROVE, "approvals": (approval(answered_at=NOW + 60, expires_at=NOW + 120),)},
        False,
    ),
    (
        "an approval that ran out is none",
        "mode",
        {"mode": Mode.APPROVE, "approvals": (approval(expires_at=NOW),)},
        False,
    ),
]


@pytest.mark.parametrize(("name", "guard", "change", "allowed"), CLOCKS)
def test_facts_of_the_future_and_of_the_past_let_nothing_through(
    name: str, guard: str, change: dict[str, Any], allowed: bool
) -> None:
    assert isinstance(ask(guard, RESTART, **change), Allow) is allowed, name


def test_a_clock_that_was_set_back_makes_nobody_look_for_ever() -> None:
    """The incident and an attempt are dated ahead; what was looked at just now is evidence all the same."""
    ahead = replace(FACTS.incident, opened_at=NOW + 3600, look=Look(NOW - 1, "ok"))
    decision = decide(replace(FACTS, incident=ahead, mode=Mode.APPROVE), NOW)
    assert (decision.verb, decision.reason) == (Verb.ASK, Reason.APPROVAL_NEEDED)
    tried = (attempt(created_at=NOW + 100, finished_at=NOW + 200),)
    silent = replace(FACTS.incident, look=Look(NOW - 1, "ok"))
    facts = replace(FACTS, incident=silent, probe=Probe("www", False, NOW, "timeout"), history=tried)
    decision = decide(facts, NOW)
    assert (decision.verb, decision.reason) == (Verb.WAIT, Reason.COOLDOWN)


def test_an_old_look_at_a_busy_linode_does_not_hold_for_ever() -> None:
    """A site that answers wrongly needs no look, so that nobody would ever look again."""
    assert isinstance(ask("linode_status", RESTART, **seen("rebooting", age=119)), WaitUntil)
    assert isinstance(ask("linode_status", RESTART, **seen("rebooting", age=121)), Allow)
    assert isinstance(ask("linode_status", RESTART, **seen("running", event="started", age=121)), Allow)


def test_what_a_killed_remediator_has_left_behind_on_a_server_is_ended_before_anything_new_begins() -> None:
    """Its lease has run out; whoever takes it up first must not meet another one on the same server."""
    left = attempt(incident_id=9, site="blog", target="php", stage=Stage.SETTLING, finished_at=None)
    gone = Lease("web", "x", 1, NOW - 1, left.id)
    verdict = ask("server_lease", RESTART, history=(left,), lease=gone)
    assert isinstance(verdict, WaitUntil)
    assert verdict.reason is Reason.SERVER_BUSY
    elsewhere = replace(left, server="db")
    assert isinstance(ask("server_lease", RESTART, history=(elsewhere,), lease=gone), Allow)


def test_an_attempt_counts_from_its_act_on_which_may_come_a_minute_after_its_claim() -> None:
    late = tuple(attempt(number, created_at=NOW - 3650, acted_at=NOW - 3599) for number in range(3))
    assert not isinstance(ask("attempt_budget", RESTART, history=late), Allow)
    over = tuple(attempt(number, created_at=NOW - 3650, acted_at=NOW - 3600) for number in range(3))
    assert isinstance(ask("attempt_budget", RESTART, history=over), Allow)


# --- approvals ---

SAID = [
    ("nobody was asked", (), Reason.APPROVAL_NEEDED),
    ("not answered", (approval(answer=None, answered_at=None, expires_at=None),), Reason.APPROVAL_NEEDED),
    ("approved", (approval(),), None),
    ("denied", (approval(answer=Answer.DENIED),), Reason.APPROVAL_DENIED),
    (
        "denied after it was approved",
        (approval(), approval(id=2, answer=Answer.DENIED)),
        Reason.APPROVAL_DENIED,
    ),
    ("another step was approved", (approval(step="reboot_linode"),), Reason.APPROVAL_NEEDED),
    ("withdrawn", (approval(answer=Answer.WITHDRAWN),), Reason.APPROVAL_NEEDED),
]


@pytest.mark.parametrize(("name", "approvals", "reason"), SAID)
def test_a_step_that_asks_is_done_only_on_a_word_for_this_step(
    name: str, approvals: tuple[Approval, ...], reason: Reason | None
) -> None:
    for change, step in (({"mode": Mode.APPROVE}, RESTART), ({}, replace(RESTART, mode=Mode.APPROVE))):
        verdict = ask("mode", step, approvals=approvals, **change)
        assert (None if isinstance(verdict, Allow) else verdict.reason) is reason, name


def test_an_approval_is_for_one_attempt_and_the_most_careful_mode_wins() -> None:
    used = (attempt(created_at=NOW - 30),)
    said = {"mode": Mode.APPROVE, "approvals": (approval(),)}
    assert not isinstance(ask("mode", RESTART, **said, history=used), Allow)
    earlier = (attempt(created_at=NOW - 61),)
    assert isinstance(ask("mode", RESTART, **said, history=earlier), Allow)
    observed = ask("mode", replace(RESTART, mode=Mode.OBSERVE), **said)
    assert not isinstance(observed, Allow)
    assert observed.reason is Reason.OBSERVE_MODE
    assert isinstance(ask("mode", LOOKING, mode=Mode.APPROVE), Allow)


# --- what holds for all of them ---


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_raises_refuses_whichever_it_is(guard: str) -> None:
    def raises(_facts: Facts, _step: Step, _now: float) -> Verdict:
        raise ZeroDivisionError

    assert decide(FACTS, NOW).verb is Verb.ACT
    decision = decide(FACTS, NOW, {**GUARDS, guard: raises})
    assert (decision.verb, decision.reason) == (Verb.REFUSE, Reason.GUARD_ERROR)
    assert decision.numbers["held_by"] == [guard]
    assert guard in decision.detail


STEPS = st.sampled_from([RESTART, REBOOT, BOOT, LOOKING])


@settings(max_examples=200, deadline=None)
@given(any_facts(), STEPS)
def test_guards_are_pure_and_never_raise(facts: Facts, step: Step) -> None:
    before = deepcopy(facts)
    first = {name: guard(facts, step, NOW) for name, guard in GUARDS.items()}
    assert {name: guard(facts, step, NOW) for name, guard in GUARDS.items()} == first
    assert facts == before
    assert decide(facts, NOW) == decide(before, NOW)


def _more(facts: Facts) -> list[Facts]:
    """The same facts with one thing more against an act."""
    sites = facts.sites if facts.sites is not None else Sites()
    failing = Sites({**sites, "more": SiteState("more", False, part_of="more")})
    acted = attempt(99, created_at=NOW - 5, finished_at=NOW - 1)
    return [
        replace(facts, pauses=(*facts.pauses, Pause("all", "Ada", "", NOW))),
        replace(facts, maintenance=Maintenance("window", NOW + 60)),
        replace(facts, silenced=True),
        replace(facts, silenced=None),
        replace(facts, storm=Storm(NOW - 9, NOW - 1, "x")),
        replace(facts, started_at=NOW),
        replace(facts, history=(*facts.history, acted)),
        replace(facts, lease=Lease("web", "x", 1, NOW + 60)),
        replace(facts, needs=(*facts.needs, "unheard-of")),
        replace(facts, canaries=None),
        replace(facts, sites=None),
        replace(facts, sites=failing, servers={**facts.servers, "more": "elsewhere"}),
        replace(facts, in_flight=facts.in_flight | {"more"}),
        replace(facts, mode=Mode.OBSERVE),
        replace(facts, limits=replace(facts.limits, max_unhealthy=0.0)),
        replace(facts, limits=replace(facts.limits, attempts=0)),
    ]


@settings(max_examples=150, deadline=None)
@given(any_facts())
def test_one_thing_more_against_it_never_lets_an_act_through(facts: Facts) -> None:
    """A share can become smaller by a site more; so can nothing else."""
    if decide(facts, NOW).verb is Verb.ACT:
        return
    for more in _more(facts):
        if more.sites is facts.sites or more.sites is None:
            assert decide(more, NOW).verb is not Verb.ACT


@pytest.mark.parametrize("facts", [FACTS, DEAD_SERVER], ids=["restart", "reboot"])
def test_each_thing_against_it_holds_an_act_that_would_be_done(facts: Facts) -> None:
    assert decide(facts, NOW).verb is Verb.ACT
    allowed = [more for more in _more(facts) if decide(more, NOW).verb is Verb.ACT]
    assert len(allowed) <= 2, "a failing site elsewhere, and one in flight, may leave the share below the cap"
    assert all(more.sites is not facts.sites or more.in_flight for more in allowed)


def test_an_incident_with_a_human_is_not_acted_on_again() -> None:
    for reason in Reason:
        incident = replace(FACTS.incident, state=State.NEEDS_HUMAN, reason=reason)
        taken_up = decide(replace(FACTS, incident=incident), NOW).verb is not Verb.ESCALATE
        assert taken_up is (reason in {Reason.FOR_A_HUMAN, Reason.NO_TARGET, Reason.CANNOT_TELL}), reason


def test_every_guard_has_a_row_with_its_numbers_or_has_none() -> None:
    silent = {"silence", "own_host", "needs", "may_boot"}
    assert {row[0] for row in NUMBERS} | silent == set(GUARDS)


def test_an_attempt_of_the_table_is_one_that_has_ended() -> None:
    assert isinstance(attempt(), Attempt)
    assert attempt().finished
