"""What is known of each site: its last result, its streaks, and counters of every probe."""

import time
from bisect import bisect_left
from dataclasses import dataclass, field

from exporter.labels import Labels
from exporter.reason import Reason
from exporter.result import Result
from exporter.watched import WatchedSite

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

STALE_INTERVALS = 3
"""A result older than this many intervals and one timeout is stale."""

JUMP = 1.0
"""Seconds by which a wall clock that was set differs; less is its steering."""


@dataclass(slots=True)
class Moment:
    """A time of the wall clock that stays true when somebody sets that clock."""

    wall: float
    monotonic: float

    def corrected(self, wall_now: float, monotonic_now: float) -> "Moment":
        """Return this moment as the wall clock tells it now; what is below a second is left alone."""
        told = wall_now - (monotonic_now - self.monotonic)
        return self if abs(told - self.wall) < JUMP else Moment(told, self.monotonic)

    def at(self, monotonic: float) -> "Moment":
        """Return the moment at `monotonic`, as this one's wall clock tells it."""
        return Moment(self.wall + monotonic - self.monotonic, monotonic)


@dataclass(slots=True, eq=False)
class SiteState:
    """The history of one site since the exporter started."""

    site: WatchedSite
    added: float = field(default_factory=lambda: time.monotonic())
    """When it came into the file, on the monotonic clock."""
    last: Result | None = None
    probed: Moment | None = None
    """When the last probe began."""
    succeeded: Moment | None = None
    failing: Moment | None = None
    """When the first failed probe of the current streak began; None while it succeeds."""
    slow: Moment | None = None
    """The same for probes that succeed, but not within the site's `within`."""
    probes: int = 0
    successes: int = 0
    failures: dict[Reason, int] = field(default_factory=dict)
    bucket_counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """Probes per bucket, each counted once; the last is beyond all bounds."""
    duration_sum: float = 0.0
    labels: Labels = field(init=False)
    """The labels of all its series."""
    lines: tuple[str, ...] | None = None
    """The site's ready exposition of the last result, made when it is first asked for."""
    fixed_lines: tuple[str, ...] | None = None
    """The same for what only a reload changes."""

    def __post_init__(self) -> None:
        self._renew_lines()

    def follow(self, site: WatchedSite) -> None:
        """Take over what a reload changed; history and counters stay."""
        self.site = site
        if site.within is None:
            self.slow = None
        self._renew_lines()

    def record(self, result: Result) -> None:
        """Count one probe's result and move the streaks."""
        wall_now, now = time.time(), time.monotonic()
        began = Moment(wall_now - result.duration, now - result.duration)
        self.last, self.probed = result, began
        self._count(result)
        if result.success:
            self.succeeded, self.failing = began, None
        else:
            self.succeeded = self.succeeded and self.succeeded.corrected(wall_now, now)
            self.failing = self.failing.corrected(wall_now, now) if self.failing else began
        within = self.site.within
        if within is None or not result.success or result.duration <= within:
            self.slow = None
        else:
            self.slow = self.slow.corrected(wall_now, now) if self.slow else began
        self.lines = None

    def correct(self, wall_now: float, now: float) -> None:
        """Tell every moment as the wall clock does, which somebody has set."""
        moments = (self.probed, self.succeeded, self.failing, self.slow)
        self.probed, self.succeeded, self.failing, self.slow = (
            moment and moment.corrected(wall_now, now) for moment in moments
        )
        self.lines = None

    def _renew_lines(self) -> None:
        self.labels = Labels(site=self.site.name, instance=self.site.instance)
        self.lines = self.fixed_lines = None

    def is_stale(self, now: float) -> bool:
        """Say whether the last probe is too old at `now` (monotonic) to speak for the site."""
        since = self.probed.monotonic if self.probed else self.added
        return now - since > STALE_INTERVALS * self.site.interval + self.site.timeout

    def _count(self, result: Result) -> None:
        self.probes += 1
        self.bucket_counts[bisect_left(BUCKETS, result.duration)] += 1
        self.duration_sum += result.duration
        if result.success:
            self.successes += 1
        if result.reason is not None:
            self.failures[result.reason] = self.failures.get(result.reason, 0) + 1
