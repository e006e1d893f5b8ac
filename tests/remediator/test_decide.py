"""The decision as tables."""

from dataclasses import replace

import pytest

from remediator.deciding.decide import counts_anew, decide, passes_with
from remediator.guards import GUARDS
from remediator.guards.verdict import Allow
from remediator.model.facts import Facts, Step
from remediator.model.holds import Pause
from remediator.model.incident import SITE_DOWN, Mode, Reason, State, Verb
from remediator.model.seen import Canary, Look, Probe
from tests.remediator.deciding import FACTS, NOW, attempt, early, failing, looked

EARLY_TABLE = [
    ({**early("exited")}, Verb.ACT, Reason.ANSWERS_WRONGLY),
    ({**early("exited"), "probe": failing("refused")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({**early("exited"), "probe": failing("dns")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("exited", age=60.0)}, Verb.LOOK, Reason.LOOK_FIRST),
    ({**early("running")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("paused")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("restarting", restart_count=5)}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("exited"), "probe": None}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    ({**early("exited"), "pauses": (Pause("all", "", "", 1.0),)}, Verb.REFUSE, Reason.PAUSED),
    ({**early("exited"), "silenced": True}, Verb.WAIT, Reason.SILENCED),
    ({**early("exited"), "mode": Mode.OBSERVE}, Verb.OBSERVE, Reason.OBSERVE_MODE),
]


@pytest.mark.parametrize(("change", "verb", "reason"), EARLY_TABLE)
def test_before_its_site_is_down_only_a_container_that_has_ended_is_healed(
    change: dict[str, object], verb: Verb, reason: Reason
) -> None:
    decision = decide(replace(FACTS, **change), NOW)  # type: ignore[arg-type]
    assert (decision.verb, decision.reason) == (verb, reason)


def test_a_site_whose_probes_pass_is_not_touched_whatever_its_container_does() -> None:
    passing = Probe("www", success=True, time=NOW - 0.5)
    facts = replace(FACTS, probe=passing, **early("exited"))  # type: ignore[arg-type]
    assert decide(facts, NOW).reason is Reason.PASSING
    assert decide(replace(facts, incident=replace(facts.incident, passes=1)), NOW).verb is Verb.CLOSE


PAUSED_NOW = early("paused")
LOOPS_NOW = early("restarting", restart_count=5)


@pytest.mark.parametrize("seen", [PAUSED_NOW, LOOPS_NOW], ids=["paused", "restarted by Docker"])
def test_once_its_site_is_down_what_no_restart_mends_is_a_humans(seen: dict[str, object]) -> None:
    told = replace(FACTS, **seen, probe=failing("timeout"))  # type: ignore[arg-type]
    told = replace(told, incident=replace(told.incident, alert=SITE_DOWN))
    decision = decide(told, NOW)
    assert decision.verb is Verb.ESCALATE
    assert decision.reason in (Reason.ACTION_IMPOSSIBLE, Reason.CRASH_LOOP)
    assert "nginx" in decision.detail


DECIDE_TABLE = [
    ({}, Verb.ACT, Reason.ANSWERS_WRONGLY),
    ({"known": False}, Verb.CLOSE, Reason.SITE_REMOVED),
    ({"probe": Probe("www", success=True, time=NOW)}, Verb.WAIT, Reason.PASSING),
    ({"probe": Probe("www", success=True, time=NOW - 60)}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    (
        {
            "probe": Probe("www", success=True, time=NOW),
            "incident": replace(FACTS.incident, passes=1, passed_at=NOW - 3),
        },
        Verb.CLOSE,
        Reason.PROVED,
    ),
    (
        {
            "probe": Probe("www", success=True, time=NOW),
            "incident": replace(FACTS.incident, passes=1, passed_at=NOW - 1),
        },
        Verb.WAIT,
        Reason.PASSING,
    ),
    ({"has_recover": False, "target": None}, Verb.OBSERVE, Reason.NO_RECOVER),
    ({"mode": Mode.OBSERVE}, Verb.OBSERVE, Reason.OBSERVE_MODE),
    ({"probe": failing("dns")}, Verb.ESCALATE, Reason.FOR_A_HUMAN),
    ({"probe": failing("dns"), "canaries": (Canary("a", success=False),)}, Verb.WAIT, Reason.CANARIES_FAIL),
    ({"probe": failing("timeout")}, Verb.LOOK, Reason.LOOK_FIRST),
    ({"probe": failing("timeout"), "incident": looked("ok")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({"probe": failing("timeout"), "incident": looked("local")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({"probe": failing("timeout"), "incident": looked("unreachable")}, Verb.ACT, Reason.SERVER_UNREACHABLE),
    ({"probe": failing("timeout"), "incident": looked("cannot_tell")}, Verb.ESCALATE, Reason.CANNOT_TELL),
    (
        {
            "probe": failing("timeout"),
            "incident": replace(looked("ok"), state=State.NEEDS_HUMAN, reason="cannot_tell"),
        },
        Verb.ACT,
        Reason.DOES_NOT_ANSWER,
    ),
    ({"probe": failing("timeout"), "incident": looked("auth")}, Verb.ESCALATE, Reason.CANNOT_ENTER),
    (
        {"probe": failing("timeout"), "incident": looked("host_key_changed")},
        Verb.ESCALATE,
        Reason.CANNOT_ENTER,
    ),
    ({"history": (attempt(1), attempt(2))}, Verb.ESCALATE, Reason.NOTHING_LEFT),
    ({"history": (attempt(1, permanent=True),)}, Verb.ESCALATE, Reason.ACTION_IMPOSSIBLE),
    ({"probe": None}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    (
        {"incident": replace(FACTS.incident, state=State.NEEDS_HUMAN, reason="nothing_left")},
        Verb.ESCALATE,
        Reason.NOTHING_LEFT,
    ),
    (
        {"incident": replace(FACTS.incident, state=State.NEEDS_HUMAN, reason="for_a_human")},
        Verb.LOOK,
        Reason.LOOK_FIRST,
    ),
    (
        {
            "incident": replace(
                FACTS.incident, state=State.NEEDS_HUMAN, reason="for_a_human", look=Look(NOW - 1, "ok")
            )
        },
        Verb.ACT,
        Reason.ANSWERS_WRONGLY,
    ),
]


@pytest.mark.parametrize(("change", "verb", "reason"), DECIDE_TABLE)
def test_the_decision_follows_the_facts(change: dict[str, object], verb: Verb, reason: Reason) -> None:
    decision = decide(replace(FACTS, **change), NOW)  # type: ignore[arg-type]
    assert (decision.verb, decision.reason) == (verb, reason)


def test_a_guard_that_raises_refuses() -> None:
    def broken(_facts: Facts, _step: Step, _now: float) -> Allow:
        raise KeyError("oops")

    decision = decide(FACTS, NOW, {**GUARDS, "broken": broken})
    assert (decision.verb, decision.reason) == (Verb.REFUSE, Reason.GUARD_ERROR)


def test_a_decision_keeps_the_numbers_of_every_guard_and_names_those_that_held() -> None:
    decision = decide(replace(FACTS, pauses=(Pause("all", "", "", 1.0),)), NOW)
    assert decision.numbers["held_by"] == ["paused"]
    assert {"share", "cap", "attempts", "canaries_answering"} <= decision.numbers.keys()


def test_a_pass_of_the_future_is_none_the_count_begins_anew() -> None:
    probe = replace(FACTS.probe, success=True, reason=None, time=NOW)
    for passes in (0, 1, 2):
        incident = replace(FACTS.incident, passes=passes, passed_at=NOW + 4000)
        facts = replace(FACTS, incident=incident, probe=probe)
        assert counts_anew(facts)
        assert passes_with(facts) == 1
        assert decide(facts, NOW).reason is Reason.PASSING
