"""What a person sees of a load: how it goes while it runs, and at the end all that happened, in its order."""

import shutil
from collections.abc import Sequence

import click

from core.durations import format_duration
from demo.stress.told import Endpoint, Progress
from stack.story.screen import Screen
from stack.stress.timeline import Kind, Moment, Peak, Timeline

_MEGABYTE = 1 << 20
_SELDOM = 10.0  # seconds between two lines of progress where there is no terminal
_COLOURS = {
    Kind.LOAD: "cyan",
    Kind.SITE: "yellow",
    Kind.CONTAINER: "yellow",
    Kind.ALERT: "red",
    Kind.RESOLVED: "green",
    Kind.ACTION: "cyan",
    Kind.HUMAN: "red",
}


class StressScreen(Screen):
    """Prints to standard output, or to standard error where the result goes to the other as JSON."""

    def __init__(self, to_error: bool = False) -> None:
        super().__init__(to_error)
        self._printed = -_SELDOM

    def progress(self, seconds: float, of: float, how: Progress | None, timeline: Timeline) -> None:
        """Show how the load goes: on a terminal in one line that changes, else in a line now and then."""
        words = [f"{seconds:5.0f} of {of:.0f} s" if seconds <= of else f"{seconds:5.0f} s, after the load"]
        if how is not None:
            words += [
                f"{how.users} users",
                f"{how.per_second:.1f}/s",
                f"p50 {_milliseconds(how.p50_ms)}, p95 {_milliseconds(how.p95_ms)}",
                f"{how.failures} failed",
            ]
        words += [_sites(timeline), f"firing: {', '.join(timeline.firing) or 'none'}"]
        line = " · ".join(words)
        if self.is_terminal:
            self._transient(line[: shutil.get_terminal_size().columns - 1])  # a second line would stay
        elif seconds - self._printed >= _SELDOM:
            self._printed = seconds
            self.note(line)

    def told(self, timeline: Timeline, begun: float) -> None:
        """Print the timeline, in seconds since the load began."""
        self.heading("What happened")
        for moment in timeline.moments:
            self._line(moment.time - begun, moment.kind, moment.text, _COLOURS.get(moment.kind))

    def load(self, seconds: float, last: Progress | None, endpoints: Sequence[Endpoint]) -> None:
        """Print what the load did."""
        self.heading("The load")
        if last is None:
            self.note("  it asked for nothing")
            return
        self.plain(
            f"  {last.requests} requests in {format_duration(round(seconds))}, {last.failures} failed, "
            f"{last.refused} refused by the shop's own bounds"
        )
        self.plain(f"  {'':<28}{'requests':>9}{'failed':>8}{'p50':>9}{'p95':>9}{'longest':>9}")
        for one in endpoints:
            times = "".join(f"{_milliseconds(value):>9}" for value in (one.p50_ms, one.p95_ms, one.max_ms))
            self.plain(f"  {one.name:<28}{one.requests:>9}{one.failures:>8}{times}")

    def saw(self, timeline: Timeline) -> None:
        """Print what Sitemedic made of it."""
        self.heading("What Sitemedic saw")
        for name, peak in timeline.peaks.items():
            self.plain(f"  container {name}: at most {_most(peak)}")
        for word, kind in (("alerts", Kind.ALERT), ("mails", Kind.MAIL), ("actions", Kind.ACTION)):
            self.plain(f"  {word:<8} {_counted(timeline.moments, kind)}")
        if timeline.firing:
            self.note(f"  still firing: {', '.join(timeline.firing)}")

    def heading(self, text: str) -> None:
        """Print a heading."""
        self._print(click.style(text, bold=True))

    def plain(self, text: str) -> None:
        """Print a line as it is."""
        self._print(text)


def _sites(timeline: Timeline) -> str:
    sites = timeline.last.sites
    if sites is None:
        return "the exporter does not answer"
    told = {name: _state(site.success, site.slow_since) for name, site in sites.items()}
    wrong = [f"{name} {state}" for name, state in told.items() if state != "up"]
    if len(sites) == 1:
        return "".join(f"{name} {state}" for name, state in told.items())
    return ", ".join(wrong) or f"{len(sites)} sites up"


def _state(success: bool | None, slow_since: float | None) -> str:
    if success is None:
        return "not probed yet"
    return "down" if not success else "slow" if slow_since else "up"


def _most(peak: Peak) -> str:
    memory = f"{peak.memory / _MEGABYTE:.0f} MB of memory"
    if peak.memory_limit:
        memory += f" (of {peak.memory_limit / _MEGABYTE:.0f})"
    return f"{peak.cpu:.2f} cores of CPU, {memory}"


def _counted(moments: Sequence[Moment], kind: Kind) -> str:
    found = [moment for moment in moments if moment.kind is kind]
    names = sorted({name for moment in found for name in moment.alerts})
    return f"{len(found)}" + (f" ({', '.join(names)})" if names else "")


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"
