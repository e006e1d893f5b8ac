"""What people are told of an incident, worked out of its rows."""

from dataclasses import replace

import pytest

from remediator.model.incident import Outcome, Reason, Stage, State, Verb
from remediator.model.news import Asked, Last, News, Patience, Seen, Telling, Try, news_of, read_key

NOW = 10_000.0
PATIENCE = Patience()
OPEN = Seen(7, "www", State.OPEN, opened_at=NOW - 30)
OLD = replace(OPEN, opened_at=NOW - 700)
FAILED = Try(3, Stage.FAILED, NOW - 60, NOW - 40)
LONG_FAILED = Try(3, Stage.FAILED, NOW - 700, NOW - 640)
RUNS = Try(4, Stage.SETTLING, NOW - 10)
ENDED = replace(OPEN, state=State.RECOVERED, closed_at=NOW - 5, outcome=Outcome.HEALED)


def waits(reason: Reason, since: float, verb: Verb = Verb.WAIT) -> Last:
    return Last(21, since, verb, reason)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        pytest.param(OPEN, None, id="just opened"),
        pytest.param(replace(OPEN, attempts=(RUNS,)), "started:4", id="an attempt runs"),
        pytest.param(replace(OPEN, attempts=(FAILED,)), "failed:3", id="it has failed"),
        pytest.param(replace(OPEN, attempts=(FAILED, RUNS)), "failed:3", id="and the next runs already"),
        pytest.param(replace(OLD, attempts=(LONG_FAILED, RUNS)), "started:4", id="later the next is told"),
        pytest.param(
            replace(OPEN, attempts=(Try(3, Stage.ABANDONED, NOW - 60, NOW - 40),)), None, id="not begun"
        ),
        pytest.param(
            replace(OPEN, state=State.AWAITING_APPROVAL, question=Asked(9, NOW - 1), attempts=(FAILED,)),
            "approval:9",
            id="a question comes before a failure",
        ),
        pytest.param(
            replace(OPEN, state=State.NEEDS_HUMAN, attempts=(FAILED,)), "needs_human:7", id="a human"
        ),
        pytest.param(replace(ENDED, attempts=(FAILED, RUNS)), "recovered:7", id="healed"),
        pytest.param(ENDED, None, id="back without us"),
        pytest.param(replace(ENDED, attempts=(FAILED,), closed_at=NOW - 601), None, id="long ago"),
        pytest.param(replace(ENDED, state=State.REMOVED, attempts=(FAILED,)), None, id="no site any more"),
    ],
)
def test_one_thing_is_told_at_a_time(seen: Seen, told: str | None) -> None:
    found = news_of(seen, NOW, PATIENCE)
    assert (found.key if found else None) == told


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (replace(OPEN, decision=waits(Reason.COOLDOWN, NOW - 20)), None),
        (replace(OLD, decision=waits(Reason.COOLDOWN, NOW - 20)), "held_long:0"),
        (replace(OPEN, opened_at=NOW - 70, decision=waits(Reason.COOLDOWN, NOW - 61)), "held:21"),
        (replace(OPEN, opened_at=NOW - 70, decision=waits(Reason.COOLDOWN, NOW - 59)), None),
        (replace(OLD, attempts=(LONG_FAILED,), decision=waits(Reason.PAUSED, NOW - 20)), "held_long:3"),
        (replace(OLD, attempts=(FAILED,), decision=waits(Reason.COOLDOWN, NOW - 20)), "failed:3"),
        (replace(OLD, attempts=(RUNS,), decision=waits(Reason.COOLDOWN, NOW - 650)), "started:4"),
    ],
)
def test_what_is_held_back_is_told_when_it_lasts_and_once_for_each_attempt(
    seen: Seen, told: str | None
) -> None:
    found = news_of(seen, NOW, PATIENCE)
    assert (found.key if found else None) == told


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason.ONE_AT_A_TIME, Reason.NEED_UNHEALTHY, Reason.SERVER_BUSY, Reason.COOLDOWN, Reason.PAUSED),
        *(Reason.SILENCES_UNKNOWN, Reason.NO_FRESH_PROBE, Reason.NO_SITES, Reason.GUARD_ERROR),
        *(Reason.LINODE_BUSY, Reason.FOREIGN_EVENT, Reason.START_UP),
    ],
)
def test_no_wait_goes_on_for_long_without_a_word(reason: Reason) -> None:
    verb = Verb.REFUSE if reason in (Reason.PAUSED, Reason.GUARD_ERROR) else Verb.WAIT
    found = news_of(replace(OLD, decision=waits(reason, NOW - 700, verb)), NOW, PATIENCE)
    assert found is not None
    assert found.telling is Telling.HELD_LONG


@pytest.mark.parametrize("reason", [Reason.MAINTENANCE, Reason.SILENCED, Reason.OBSERVE_MODE])
def test_what_a_person_has_just_decided_is_no_news_for_long(reason: Reason) -> None:
    verb = Verb.OBSERVE if reason is Reason.OBSERVE_MODE else Verb.WAIT
    found = news_of(replace(OLD, decision=waits(reason, NOW - 700, verb)), NOW, PATIENCE)
    assert found is not None
    assert found.telling is Telling.HELD


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason.CANARIES_FAIL, Reason.TOO_MANY_UNHEALTHY, Reason.STORM_COOLDOWN),
        *(Reason.PASSING, Reason.NO_RECOVER),
    ],
)
def test_what_is_told_elsewhere_is_not_told_here(reason: Reason) -> None:
    assert news_of(replace(OLD, decision=waits(reason, NOW - 700)), NOW, PATIENCE) is None


def test_a_key_is_read_back_and_fits_its_column() -> None:
    for telling in Telling:
        key = News(telling, 12_345_678, NOW).key
        assert len(key) <= 20
        assert read_key(key) == (telling, 12_345_678)
    assert [read_key(key) for key in ("", "firing", "resolving", "held:", "held:x")] == [None] * 5
