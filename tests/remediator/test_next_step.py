"""What people read of what comes next."""

import pytest

from remediator.model.incident import Incident, Outcome, Reason, State, Verb
from remediator.model.next_step import next_step


def decision(verb: Verb, reason: Reason, action: str | None = "restart_container") -> dict[str, object]:
    return {"verb": str(verb), "reason": str(reason), "detail": "why", "action": action}


@pytest.mark.parametrize(
    ("state", "last", "told"),
    [
        (State.OPEN, None, "It is about to be looked at."),
        (State.OPEN, decision(Verb.WAIT, Reason.COOLDOWN), "Waits, then: restart the container."),
        (State.OPEN, decision(Verb.WAIT, Reason.CANARIES_FAIL, None), "Waits."),
        (State.OPEN, decision(Verb.WAIT, Reason.PASSING, None), "It answers again"),
        (State.OPEN, decision(Verb.REFUSE, Reason.PAUSED), "Nothing is done while this holds"),
        (State.OPEN, decision(Verb.LOOK, Reason.LOOK_FIRST, None), "looked at first"),
        (
            State.OPEN,
            decision(Verb.ACT, Reason.DOES_NOT_ANSWER, "reboot_linode"),
            "Reboot the Linode is about",
        ),
        (State.OBSERVING, decision(Verb.OBSERVE, Reason.OBSERVE_MODE), "It would be: restart the container."),
        (State.OBSERVING, decision(Verb.OBSERVE, Reason.NO_RECOVER, None), "only watched"),
        (State.AWAITING_APPROVAL, decision(Verb.ASK, Reason.APPROVAL_NEEDED), "A person must approve it"),
        (
            State.ATTEMPTING,
            decision(Verb.ACT, Reason.DOES_NOT_ANSWER),
            "Restart the container: It is being done",
        ),
        (State.VERIFYING, decision(Verb.ACT, Reason.DOES_NOT_ANSWER), "fresh probes must prove it"),
        (State.NEEDS_HUMAN, decision(Verb.ESCALATE, Reason.NOTHING_LEFT), "A human must look"),
    ],
)
def test_an_open_incident_says_what_comes_next(
    state: State, last: dict[str, object] | None, told: str
) -> None:
    found = next_step(Incident(1, "www", state, 0.0, reason="nothing_left", detail="tried twice"), last)
    assert told in found.text
    if state is State.NEEDS_HUMAN:
        assert found.why == "nothing left: tried twice"
    elif last is not None and state not in (State.ATTEMPTING, State.VERIFYING):
        assert found.why.endswith(": why")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_closed_one_says_how_it_ended(outcome: Outcome) -> None:
    closed = Incident(1, "www", State.RECOVERED, 0.0, closed_at=9.0, outcome=outcome)
    assert next_step(closed, None).text.startswith("Over: ")


@pytest.mark.parametrize("verb", list(Verb))
def test_every_decision_can_be_told(verb: Verb) -> None:
    for reason in Reason:
        assert next_step(Incident(1, "www", State.OPEN, 0.0), decision(verb, reason)).text
