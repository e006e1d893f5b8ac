import time

import pytest

from exporter.exposition import ready_lines
from exporter.module import BUILT_IN
from exporter.reason import Reason
from exporter.result import Result
from exporter.state import SiteState
from exporter.watched import WatchedSite


class Clock:
    """Both clocks, under the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1_760_000_000.0, 1000.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)

    def pass_seconds(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def watched(within: float | None = None) -> WatchedSite:
    return WatchedSite(
        "shop",
        "http://shop/",
        "http://shop/",
        BUILT_IN["http_2xx"],
        10.0,
        5.0,
        30.0,
        within,
        0.999,
        (("part_of", "shop"),),
    )


def good(duration: float = 0.1) -> Result:
    return Result(True, None, "", 0.0, duration)


def bad(reason: Reason = Reason.STATUS, duration: float = 0.1) -> Result:
    return Result(False, reason, "answered 500", 0.0, duration)


def wall(moment: object) -> float | None:
    return None if moment is None else round(moment.wall, 3)  # type: ignore[attr-defined]


def test_failing_since_is_the_first_failed_probe_of_the_streak_whatever_the_reason(clock: Clock) -> None:
    state = SiteState(watched())
    state.record(good())
    assert state.failing is None
    clock.pass_seconds(10)
    state.record(bad(Reason.STATUS, 0.5))
    began = clock.wall - 0.5
    clock.pass_seconds(10)
    state.record(bad(Reason.REFUSED))
    assert wall(state.failing) == began
    clock.pass_seconds(10)
    state.record(good())
    assert state.failing is None
    clock.pass_seconds(10)
    state.record(bad())
    assert wall(state.failing) == round(clock.wall - 0.1, 3)
    assert state.failures == {Reason.STATUS: 2, Reason.REFUSED: 1}
    assert state.probes == 5


def test_last_success_stays_while_the_site_fails(clock: Clock) -> None:
    state = SiteState(watched())
    state.record(bad())
    assert state.succeeded is None
    clock.pass_seconds(10)
    state.record(good())
    succeeded = clock.wall - 0.1
    clock.pass_seconds(10)
    state.record(bad())
    assert wall(state.succeeded) == round(succeeded, 3)
    assert wall(state.probed) == round(clock.wall - 0.1, 3)


def test_slow_since_counts_only_successes_slower_than_within(clock: Clock) -> None:
    state = SiteState(watched(within=0.8))
    state.record(good(0.8))
    assert state.slow is None
    clock.pass_seconds(10)
    state.record(good(0.9))
    began = clock.wall - 0.9
    clock.pass_seconds(10)
    state.record(good(1.5))
    assert wall(state.slow) == round(began, 3)
    clock.pass_seconds(10)
    state.record(bad(duration=4.0))
    assert state.slow is None


def test_a_site_without_within_is_never_slow(clock: Clock) -> None:
    state = SiteState(watched())
    state.record(good(9.0))
    assert state.slow is None


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_moves_streaks_with_it(clock: Clock, jump: float) -> None:
    state = SiteState(watched(within=0.05))
    state.record(good(0.1))
    clock.pass_seconds(10)
    state.record(bad())
    clock.pass_seconds(10)
    clock.wall += jump
    state.record(bad())
    assert state.failing is not None
    assert clock.wall - state.failing.wall == pytest.approx(10.1)
    assert state.succeeded is not None
    assert clock.wall - state.succeeded.wall == pytest.approx(20.1)


def test_a_clock_that_is_slewed_does_not_move_a_streak(clock: Clock) -> None:
    state = SiteState(watched())
    state.record(bad())
    began = wall(state.failing)
    for _ in range(5):
        clock.pass_seconds(10)
        clock.wall += 0.1
        state.record(bad())
    assert wall(state.failing) == began


def test_a_result_is_stale_after_three_intervals_and_the_timeout(clock: Clock) -> None:
    state = SiteState(watched())
    state.record(good())
    assert not state.is_stale(clock.monotonic + 34.8)
    assert state.is_stale(clock.monotonic + 35.0)
    clock.wall += 86400
    assert not state.is_stale(clock.monotonic + 1)


def test_a_site_that_was_never_probed_is_stale_in_the_end(clock: Clock) -> None:
    state = SiteState(watched())
    assert not state.is_stale(clock.monotonic + 35.0)
    assert state.is_stale(clock.monotonic + 35.1)


def test_the_histogram_counts_each_probe_once(clock: Clock) -> None:
    state = SiteState(watched())
    for duration in (0.05, 0.051, 0.3, 7.0, 11.0):
        state.record(good(duration))
    assert state.bucket_counts == [1, 1, 0, 1, 0, 0, 0, 1, 1]
    assert state.duration_sum == pytest.approx(18.401)


def test_a_reload_keeps_the_history(clock: Clock) -> None:
    state = SiteState(watched(within=0.01))
    state.record(good(0.1))
    assert state.slow is not None
    state.follow(watched())
    assert state.slow is None
    assert state.probes == 1


def test_a_clock_that_is_set_moves_every_moment_at_once_and_its_lines_with_them(clock: Clock) -> None:
    state = SiteState(watched(within=0.05))
    state.record(good(duration=0.1))
    clock.pass_seconds(100)
    before = [moment.wall for moment in (state.probed, state.succeeded, state.slow) if moment]
    ready_lines(state)
    clock.wall += 7200
    state.correct(clock.wall, clock.monotonic)
    after = [moment.wall for moment in (state.probed, state.succeeded, state.slow) if moment]
    assert after == [one + 7200 for one in before]
    assert f"sitemedic_last_probe_timestamp_seconds{state.labels.plain} {after[0]:.3f}\n" in ready_lines(
        state
    )
