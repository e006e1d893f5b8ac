"""What a heartbeat site is judged by: when its job was heard, and until when it must be heard again.

Pure: no clock, no disk. Times are `Moment`s, so that a wall clock that is set makes nothing late.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from core.durations import format_duration
from exporter.reason import Reason
from exporter.state import Moment
from exporter.watched import Heartbeat

LOST_WITHIN = 60.0
"""Seconds that nobody may listen without a call counting as lost: a job that tries again is heard."""


@dataclass(slots=True)
class Heard:
    """What is known of one job."""

    since: Moment
    """Its time runs from here: its last success, or when it came into the file."""
    succeeded: Moment | None = None
    started: Moment | None = None
    """When the run began that has not ended yet."""
    failed: Moment | None = None
    """When it said that it failed; None after a success."""
    status: int | None = None
    """The exit status that it failed with."""
    note: str = ""
    took: float | None = None
    """Seconds from the start to the end of the last run that told both."""

    def success(self, now: Moment) -> None:
        """Take note of a run that succeeded."""
        self._end(now)
        self.since = self.succeeded = now
        self.failed, self.status, self.note = None, None, ""

    def start(self, now: Moment) -> None:
        """Take note of a run that begins."""
        self.started = now

    def failure(self, now: Moment, status: int | None, note: str) -> None:
        """Take note of a run that failed."""
        self._end(now)
        self.since = self.failed = now
        self.status, self.note = status, note

    def _end(self, now: Moment) -> None:
        if self.started is not None:
            self.took = max(0.0, now.monotonic - self.started.monotonic)
        self.started = None

    def due(self, plan: Heartbeat) -> float:
        """Return until when the job must be heard, on the monotonic clock."""
        due = self.since.monotonic + plan.every + plan.grace
        return min(due, self.started.monotonic + plan.grace) if self.started else due

    def forgive(self, plan: Heartbeat, gone: float, back: float) -> None:
        """Let no silence follow from nobody having listened between `gone` and `back` (monotonic).

        What was silent before stays so. A call that may have come unheard is not missed: its time begins
        anew. After a short absence the job only has the time to try again.
        """
        if self.due(plan) <= gone:
            return
        early = self.since.monotonic + max(0.0, plan.every - plan.grace)
        if back - gone > LOST_WITHIN and (self.started is not None or back >= early):
            self.since, self.started = self.since.at(back), None
            return
        least = back + LOST_WITHIN
        if self.started is not None and self.started.monotonic + plan.grace < least:
            self.started = self.started.at(least - plan.grace)
        if self.since.monotonic + plan.every + plan.grace < least:
            self.since = self.since.at(least - plan.every - plan.grace)


def judge(heard: Heard, plan: Heartbeat, now: Moment) -> tuple[Reason, str] | None:
    """Return why the site fails at `now`, as a reason and a sentence; None while it does not."""
    if heard.failed is not None:
        status = f" with exit status {heard.status}" if heard.status is not None else ""
        said = f": {heard.note}" if heard.note else ""
        return Reason.FAILED, f"the job says that it failed{status}{said}"
    if now.monotonic <= heard.due(plan):
        return None
    grace = f"{format_duration(plan.grace)} of grace"
    if heard.started is not None and now.monotonic > heard.started.monotonic + plan.grace:
        return (
            Reason.SILENT,
            f"its run began at {_clock(heard.started, now)} and has not ended within {grace}",
        )
    expected = f"it should be every {format_duration(plan.every)}, with {grace}"
    if heard.succeeded is None:
        return Reason.SILENT, f"not heard yet, since {_clock(heard.since, now)}; {expected}"
    return Reason.SILENT, f"last heard at {_clock(heard.succeeded, now)}; {expected}"


def _clock(moment: Moment, now: Moment) -> str:
    wall = moment.corrected(now.wall, now.monotonic).wall
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
