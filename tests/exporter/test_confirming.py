"""A first failure is probed again soon: bounded, honest, and never in the way of the schedule."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from exporter.confirming import AT_ONCE, SOON, SPREAD, Confirming
from exporter.health import Health
from exporter.module import BUILT_IN
from exporter.reason import Reason
from exporter.result import Result
from exporter.watched import Heartbeat, WatchedSite
from tests.exporter.loopback import run
from tests.exporter.running import exporter, site
from tests.exporter.test_scheduler import Recorder, wait
from tests.waiting import until

GOOD = Result(success=True, reason=None, detail="", time=0.0, duration=0.1)
BAD = GOOD._replace(success=False, reason=Reason.TIMEOUT)


def watched(name: str = "shop", retries: int = 1, heartbeat: Heartbeat | None = None) -> WatchedSite:
    module = BUILT_IN["http_2xx"]
    known = WatchedSite(name, "u:x", "http://x/", module, 15.0, 5.0, 30.0, None, 0.999, ())
    return replace(known, retries=retries, heartbeat=heartbeat)


@dataclass
class Schedule:
    """Notes who is to be probed again; everybody's next probe is due in `room` seconds."""

    room: float = 15.0
    asked: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def next_due(self, name: str) -> float | None:
        return time.monotonic() + self.room

    def again(self, name: str, seconds: float) -> None:
        self.asked.append(name)
        self.seconds.append(seconds)


def confirming(schedule: Schedule) -> Confirming:
    return Confirming(schedule, Health())


@pytest.mark.parametrize("before", [None, GOOD])
def test_a_first_failure_is_probed_again_soon_and_once(before: Result | None) -> None:
    schedule = Schedule()
    asking = confirming(schedule)
    asking.after(watched(), before, BAD)
    asking.after(watched(), BAD, BAD)
    asking.after(watched(), BAD, BAD)
    assert schedule.asked == ["shop"]
    assert SOON <= schedule.seconds[0] <= SOON + SPREAD


def test_as_many_probes_confirm_as_the_site_says_until_one_succeeds() -> None:
    schedule = Schedule()
    asking = confirming(schedule)
    asking.after(watched(retries=3), GOOD, BAD)
    for _ in range(5):
        asking.after(watched(retries=3), BAD, BAD)
    assert len(schedule.asked) == 3
    asking.after(watched(retries=3), BAD, GOOD)
    asking.after(watched(retries=3), GOOD, BAD)
    assert len(schedule.asked) == 4


def test_nobody_is_asked_again_who_does_not_want_it_or_is_heard() -> None:
    schedule = Schedule()
    confirming(schedule).after(watched(retries=0), GOOD, BAD)
    confirming(schedule).after(watched(heartbeat=Heartbeat("job", 60.0, 60.0)), GOOD, BAD)
    assert schedule.asked == []


@pytest.mark.parametrize(("room", "count"), [(6.0, 0), (7.0, 1)])
def test_a_confirming_probe_leaves_the_next_one_its_time(room: float, count: int) -> None:
    schedule = Schedule(room)
    confirming(schedule).after(watched(), GOOD, BAD)
    assert len(schedule.asked) == count


def test_when_everything_fails_at_once_only_some_are_confirmed() -> None:
    schedule, health = Schedule(), Health()
    asking = Confirming(schedule, health)
    for number in range(10_000):
        asking.after(watched(f"site-{number}"), GOOD, BAD)
    assert AT_ONCE <= len(schedule.asked) < 1000
    assert f'outcome="left_out"}} {10_000 - len(schedule.asked)}.0' in health.text().decode()


def test_the_schedule_probes_once_more_and_keeps_the_phase() -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({"a": 1000.0})
        due = recorder.scheduler.next_due("a")
        recorder.scheduler.again("a", 0.01)
        recorder.scheduler.again("nobody", 0.01)
        await wait(lambda: recorder.started["a"], 20)
        assert recorder.scheduler.next_due("a") == due
        assert recorder.late == []
        await recorder.scheduler.stop()

    run(test())


def test_a_site_that_leaves_or_still_runs_is_not_probed_once_more() -> None:
    async def test() -> None:
        recorder = Recorder(slow=("slow",))
        recorder.scheduler.plan({"slow": 0.1, "leaves": 1000.0, "other": 1000.0})
        await wait(lambda: recorder.started["slow"], 20)
        for name in ("slow", "leaves"):
            recorder.scheduler.again(name, 0.01)
        recorder.scheduler.plan({"slow": 0.1, "other": 1000.0})
        recorder.scheduler.again("other", 0.05)
        await wait(lambda: recorder.started["other"], 20)
        assert len(recorder.started["slow"]) == 1
        assert recorder.started["leaves"] == []
        await recorder.scheduler.stop()
        recorder.scheduler.again("other", 0.0)
        await asyncio.sleep(0)
        assert len(recorder.started["other"]) == 1

    run(test())


def test_a_blip_is_over_long_before_the_next_probe_and_both_are_counted(tmp_path: Path) -> None:
    with site() as told:
        told.status = 500
        one = {"name": "shop", "url": told.url, "interval": "1h", "timeout": "5s", "retries": 5}
        with exporter(tmp_path, {"sites": [one]}) as running:
            until(lambda: running.site("shop")["success"] is False, 30, "the failure")
            told.status = 200
            until(lambda: running.site("shop")["success"], 30, "the end of the blip")
            probes = len(told.asked)
            assert probes >= 2
            assert running.metric("sitemedic_probes_total") == probes
            assert running.metric("sitemedic_probe_failures_total", reason="status") == probes - 1
            assert running.metric("sitemedic_probe_latency_seconds_count") == probes
            assert running.metric("sitemedic_failing_since_timestamp_seconds") == 0
            assert running.metric("sitemedic_exporter_confirming_probes_total", outcome="made") == probes - 1
            assert running.metric("sitemedic_exporter_probe_lateness_seconds_count") == 1
