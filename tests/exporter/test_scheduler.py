import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable

import pytest

from exporter import scheduler
from exporter.scheduler import Scheduler, phase_of
from tests.exporter.loopback import run


class Recorder:
    """Notes when each site was started; a site in `slow` never ends by itself."""

    def __init__(self, slow: tuple[str, ...] = ()) -> None:
        self.started: dict[str, list[float]] = defaultdict(list)
        self.cancelled: list[str] = []
        self.late: list[float] = []
        self.skipped: dict[str, int] = defaultdict(int)
        self.slow = slow
        self.scheduler = Scheduler(self.probe, self.late.append, self.skip)

    async def probe(self, name: str) -> None:
        self.started[name].append(time.monotonic())
        if name in self.slow:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise

    def skip(self, name: str, count: int) -> None:
        self.skipped[name] += count


async def wait(predicate: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not predicate():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.01)


def test_a_site_is_probed_at_its_own_phase_of_the_interval() -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({"a": 0.2, "b": 0.2})
        await wait(lambda: len(recorder.started["a"]) >= 3 and len(recorder.started["b"]) >= 3)
        await recorder.scheduler.stop()
        for name in ("a", "b"):
            for started in recorder.started[name]:
                past = math.fmod(started - phase_of(name) * 0.2, 0.2)
                # The clock's own error may put it a hair before its phase.
                assert past < 0.15 or past > 0.1999

    run(test())


def test_phases_are_spread_evenly_and_do_not_change() -> None:
    phases = [phase_of(f"site-{number}") for number in range(1000)]
    tenths = [sum(tenth <= phase * 10 < tenth + 1 for phase in phases) for tenth in range(10)]
    assert min(tenths) > 60
    assert max(tenths) < 140
    assert phase_of("shop") == phase_of("shop") == 0.32880058514659616


def test_lateness_of_every_start_is_told() -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({"a": 0.1})
        await wait(lambda: len(recorder.started["a"]) >= 3)
        await recorder.scheduler.stop()
        assert len(recorder.late) == len(recorder.started["a"])
        assert all(late >= 0 for late in recorder.late)

    run(test())


def test_a_halt_of_the_loop_shows_as_lateness_and_as_skipped_probes() -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({"a": 0.1})
        await wait(lambda: recorder.started["a"])
        time.sleep(0.55)  # noqa: ASYNC251 - the halt itself
        await wait(lambda: len(recorder.started["a"]) >= 3)
        await recorder.scheduler.stop()
        assert max(recorder.late) > 0.3
        assert recorder.skipped["a"] >= 3

    run(test())


def test_a_slow_site_is_skipped_and_delays_no_other() -> None:
    async def test() -> None:
        recorder = Recorder(slow=("slow",))
        recorder.scheduler.plan({"slow": 0.1, "quick": 0.1})
        await wait(lambda: len(recorder.started["quick"]) >= 5)
        assert recorder.scheduler.in_flight >= 1
        await recorder.scheduler.stop()
        assert len(recorder.started["slow"]) == 1
        assert recorder.skipped["slow"] >= 3

    run(test())


def test_a_site_that_stays_keeps_its_running_probe_and_one_that_leaves_loses_it() -> None:
    async def test() -> None:
        recorder = Recorder(slow=("stays", "leaves", "renewed"))
        everyone = {"stays": 0.1, "leaves": 0.1, "renewed": 0.1}
        recorder.scheduler.plan(everyone)
        await wait(lambda: len(recorder.started) == 3)
        recorder.scheduler.plan({"stays": 0.1, "renewed": 0.1}, renewed={"renewed"})
        await wait(lambda: len(recorder.started["renewed"]) == 2)
        assert sorted(recorder.cancelled) == ["leaves", "renewed"]
        assert len(recorder.started["stays"]) == 1
        await recorder.scheduler.stop()
        assert len(recorder.started["leaves"]) == 1
        assert recorder.scheduler.in_flight == 0

    run(test())


def test_a_changed_interval_is_taken_up_without_ending_the_running_probe() -> None:
    async def test() -> None:
        recorder = Recorder(slow=("a",))
        recorder.scheduler.plan({"a": 0.1})
        await wait(lambda: recorder.started["a"])
        recorder.scheduler.plan({"a": 0.05})
        await wait(lambda: recorder.skipped["a"] >= 4)
        assert recorder.cancelled == []
        await recorder.scheduler.stop()

    run(test())


def test_a_new_site_of_a_long_interval_is_probed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({f"site-{number}": 86400.0 for number in range(20)})
        await wait(lambda: len(recorder.started) == 20)
        await recorder.scheduler.stop()
        assert all(len(started) == 1 for started in recorder.started.values())

    monkeypatch.setattr(scheduler, "FIRST_PROBE_WITHIN", 0.2)
    run(test())


def test_a_probe_that_raises_does_not_end_the_schedule(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        recorder = Recorder()

        async def probe(name: str) -> None:
            recorder.started[name].append(0.0)
            raise RuntimeError("a fault of ours")

        schedule = Scheduler(probe, recorder.late.append, recorder.skip)
        schedule.plan({"a": 0.1})
        await wait(lambda: len(recorder.started["a"]) >= 2)
        await schedule.stop()

    run(test())
    assert "a fault of ours" in caplog.text


def test_a_thousand_due_at_once_start_in_batches_that_leave_the_loop_free() -> None:
    async def test() -> None:
        recorder = Recorder()
        recorder.scheduler.plan({f"site-{number}": 0.3 for number in range(1000)})
        time.sleep(0.4)  # noqa: ASYNC251 - by now every one is due
        most, before = 0, 0
        async with asyncio.timeout(20):
            while len(recorder.started) < 1000:
                await asyncio.sleep(0)
                most, before = max(most, len(recorder.started) - before), len(recorder.started)
        await recorder.scheduler.stop()
        assert 0 < most <= scheduler.BATCH

    run(test())
