"""One run: the load, the looks at Sitemedic meanwhile and for a while after, and the summary of both."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from core.durations import format_duration
from demo.stress.profiles import Profile
from stack.errors import StackError
from stack.stress.load import Load, running_load
from stack.stress.screen import StressScreen
from stack.stress.services import Watcher, need_application
from stack.stress.timeline import Kind, Timeline

_SOON = 0.1
EVERY = 1.0
"""Seconds between two looks."""
QUIET = 6.0
"""Seconds without news after which, all that is expected having happened, no more is waited for."""


@dataclass
class Stress:
    """A profile's load on an application that a Sitemedic watches; seconds."""

    profile: Profile
    watcher: Watcher
    url: str
    duration: float
    settle: float
    screen: StressScreen
    as_json: bool = False
    until_seen: bool = False
    """Whether the load ends as soon as Sitemedic has seen all that is expected of its profile."""
    _begun: float = field(init=False, default=0.0)
    _ended: float | None = field(init=False, default=None)

    def run(self) -> int:
        """Return 0 when the load ran to its end and Sitemedic was there to see it; raises StackError."""
        need_application(self.url)
        before = self.watcher.look()
        if before.faults:
            raise StackError(f"{before.faults[0]}: the load was not begun. Does ./sitemedic up say ready?")
        timeline = Timeline(self.profile, before)
        self._announce(timeline)
        with running_load(self.profile.name, self.url, self.duration) as load:
            self._begin(timeline, load)
            complete = self._watch(timeline, load)
        self._tell(timeline, load, complete)
        return 0 if complete else 1

    def _announce(self, timeline: Timeline) -> None:
        length = format_duration(self.duration)
        self.screen.heading(f"STRESS {self.profile.name}: {self.profile.what}, for {length}, at {self.url}")
        self.screen.note("Ctrl-C ends the load, and tells what happened so far")
        if old := sorted({one.name for one in timeline.before.alerts or () if one.firing}):
            self.screen.note(f"Fires already, and is not this load's doing: {', '.join(old)}")

    def _begin(self, timeline: Timeline, load: Load) -> None:
        """Wait until the load says that it begins: Locust takes some seconds to start."""
        while load.news() is None and load.running:
            time.sleep(_SOON)
        self._begun = time.time()
        timeline.loaded(self._begun, f"{self.profile.users} visitors begin: {self.profile.what}")

    def _watch(self, timeline: Timeline, load: Load) -> bool:
        """Look until the load has ended and all is told; False where it was interrupted."""
        try:
            how = "ends"
            while load.running:
                self._look(timeline, load)
                if self.until_seen and timeline.expected and not timeline.missing:
                    how = "ends early: all that is expected of it was seen"
                    load.stop()
            load.finish()
            self._note_end(timeline, how)
            self._settle(timeline, load)
        except KeyboardInterrupt:
            if self._ended is None:
                load.stop()
                self._note_end(timeline, "was interrupted, and ends")
                return False
        return True

    def _note_end(self, timeline: Timeline, how: str) -> None:
        self._ended = time.time()
        timeline.loaded(self._ended, f"the load {how}")

    def _look(self, timeline: Timeline, load: Load) -> bool:
        """Look once at everything; tell whether there was news."""
        time.sleep(EVERY)
        how = load.news()
        if how is not None:
            timeline.progressed(how)
        look = self.watcher.look()
        if look.faults and not self.watcher.still_runs():
            raise StackError("Sitemedic was stopped meanwhile, and the load with it")
        news = timeline.take(look)
        self.screen.progress(time.time() - self._begun, self.duration, how, timeline)
        return bool(news)

    def _settle(self, timeline: Timeline, load: Load) -> None:
        """Watch on until all is told that follows from the load, or for `settle` seconds."""
        deadline, quiet_since = time.monotonic() + self.settle, time.monotonic()
        while time.monotonic() < deadline:
            if self._look(timeline, load) or timeline.missing or timeline.pending or timeline.healing:
                quiet_since = time.monotonic()
            if time.monotonic() - quiet_since >= QUIET:
                return

    def _tell(self, timeline: Timeline, load: Load, complete: bool) -> None:
        took = (self._ended or time.time()) - self._begun
        self.screen.told(timeline, self._begun)
        self.screen.load(took, load.last, load.endpoints)
        self.screen.saw(timeline)
        if complete and timeline.expected:
            absent = timeline.missing
            text = (
                f"not seen: {', '.join(absent)}. Was the load too short?"
                if absent
                else ", ".join(timeline.expected)
            )
            self.screen.summary(not absent, f"{text} (expected of this profile at the demo's thresholds)")
        if self.as_json:
            click.echo(json.dumps(self._answer(timeline, load, complete, took), indent=2))

    def _answer(self, timeline: Timeline, load: Load, complete: bool, took: float) -> Mapping[str, Any]:
        moments = [{**asdict(one), "seconds": round(one.time - self._begun, 1)} for one in timeline.moments]

        def of(kind: Kind) -> list[dict[str, Any]]:
            return [one for one in moments if one["kind"] == kind]

        return {
            "profile": self.profile.name,
            "url": self.url,
            "begun": self._begun,
            "seconds": round(took, 1),
            "complete": complete,
            "load": {
                "total": asdict(load.last) if load.last else None,
                "requests": [asdict(one) for one in load.endpoints],
            },
            "containers": {name: asdict(peak) for name, peak in timeline.peaks.items()},
            "alerts": of(Kind.ALERT),
            "mails": of(Kind.MAIL),
            "actions": of(Kind.ACTION),
            "still_firing": timeline.firing,
            "expected": timeline.expected,
            "not_seen": timeline.missing,
            "timeline": moments,
        }
