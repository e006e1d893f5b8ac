"""What a heartbeat is judged by, without a clock: calls, silence, absence."""

import pytest

from exporter.heartbeats.heartbeat import LOST_WITHIN, Heard, judge
from exporter.heartbeats.kept import as_plain, restored
from exporter.reason import Kind, Reason
from exporter.state import Moment
from exporter.watched import Heartbeat

DAY, HOUR = 86400.0, 3600.0
PLAN = Heartbeat("backup", DAY, HOUR)
BEGAN = 1_790_000_000.0


def at(seconds: float) -> Moment:
    return Moment(BEGAN + seconds, 5000.0 + seconds)


def reason(heard: Heard, seconds: float) -> Reason | None:
    found = judge(heard, PLAN, at(seconds))
    return found[0] if found else None


def sentence(heard: Heard, seconds: float) -> str:
    found = judge(heard, PLAN, at(seconds))
    assert found is not None
    return found[1]


def test_silence_and_failure_are_a_humans() -> None:
    assert Reason.SILENT.kind is Reason.FAILED.kind is Kind.FOR_A_HUMAN


def test_a_job_is_silent_once_its_time_and_its_grace_have_passed() -> None:
    heard = Heard(at(0))
    heard.success(at(10))
    assert reason(heard, DAY + HOUR + 9) is None
    assert reason(heard, DAY + HOUR + 11) is Reason.SILENT
    assert "last heard at 2026-09-21" in sentence(heard, DAY + HOUR + 11)
    assert "every 1d, with 1h of grace" in sentence(heard, DAY + HOUR + 11)
    heard.success(at(DAY + HOUR + 20))
    assert reason(heard, DAY + HOUR + 21) is None


def test_a_job_that_never_calls_is_silent_too() -> None:
    heard = Heard(at(0))
    assert reason(heard, DAY + HOUR - 1) is None
    assert "not heard yet" in sentence(heard, DAY + HOUR + 1)


def test_a_failure_lasts_until_the_next_success() -> None:
    heard = Heard(at(0))
    heard.failure(at(10), 3, "disk full")
    assert sentence(heard, 11) == "the job says that it failed with exit status 3: disk full"
    assert reason(heard, 10 * DAY) is Reason.FAILED
    heard.start(at(DAY))
    assert reason(heard, DAY + 1) is Reason.FAILED
    heard.success(at(DAY + 5))
    assert reason(heard, DAY + 6) is None
    assert heard.took == 5


def test_a_run_that_does_not_end_is_silent_after_its_grace() -> None:
    heard = Heard(at(0))
    heard.success(at(0))
    heard.start(at(100))
    assert reason(heard, 100 + HOUR) is None
    assert "has not ended within 1h of grace" in sentence(heard, 101 + HOUR)


def test_what_was_silent_before_an_absence_stays_so() -> None:
    heard = Heard(at(0))
    due = 5000 + DAY + HOUR
    heard.forgive(PLAN, due + 1, due + 5 * DAY)
    assert heard.due(PLAN) == due


def test_a_call_that_may_have_come_unheard_is_not_missed() -> None:
    heard = Heard(at(0))
    heard.forgive(PLAN, 5000 + DAY - 2 * HOUR, 5000 + DAY)
    assert heard.due(PLAN) == 5000 + DAY + DAY + HOUR


def test_an_absence_long_before_a_job_is_due_changes_nothing() -> None:
    heard = Heard(at(0))
    heard.forgive(PLAN, 5000 + HOUR, 5000 + 3 * HOUR)
    assert heard.due(PLAN) == 5000 + DAY + HOUR


def test_restarts_do_not_put_silence_off() -> None:
    heard, due = Heard(at(0)), 5000 + DAY + HOUR
    for before in (40.0, 30.0, 20.0, 10.0):
        heard.forgive(PLAN, due - before, due - before + 2)
    # Each time the job had a minute to try again, no more.
    assert heard.due(PLAN) <= due - 8 + LOST_WITHIN
    assert heard.due(PLAN) >= due


def test_a_run_that_may_have_ended_unheard_is_not_waited_for() -> None:
    heard = Heard(at(0))
    heard.start(at(100))
    heard.forgive(PLAN, 5000 + 200, 5000 + 200 + LOST_WITHIN + 1)
    assert heard.started is None
    assert heard.due(PLAN) > 5000 + DAY


def test_what_is_known_is_read_as_it_was_written() -> None:
    heard = Heard(at(0))
    heard.failure(at(50), 7, "no space")
    heard.start(at(60))
    listened, found = restored(as_plain(at(100), {"backup": heard}), Moment(BEGAN + 130, 10.0))
    assert listened == Moment(BEGAN + 100, -20.0)
    again = found["backup"]
    assert (again.status, again.note, again.since.monotonic) == (7, "no space", -70.0)
    assert again.started is not None
    assert again.started.wall == BEGAN + 60


def test_a_clock_that_was_set_back_meanwhile_makes_nothing_of_the_future() -> None:
    book = as_plain(at(100), {"backup": Heard(at(90))})
    listened, found = restored(book, Moment(BEGAN - 5000, 10.0))
    assert listened.monotonic == found["backup"].since.monotonic == 10.0


@pytest.mark.parametrize("change", [{"version": 2}, {"heartbeats": {"backup": {}}}, {"listened": None}])
def test_what_is_no_book_is_refused(change: dict[str, object]) -> None:
    book = as_plain(at(100), {"backup": Heard(at(90))}) | change
    with pytest.raises((ValueError, TypeError, KeyError)):
        restored(book, at(200))


def test_a_clock_that_is_set_makes_no_job_late() -> None:
    heard = Heard(at(0))
    later = Moment(BEGAN + 30 * DAY, 5000.0 + 60)
    assert judge(heard, PLAN, later) is None
