"""What a person sees of the story: one line a moment, and on a terminal a clock that runs meanwhile."""

import sys
from collections.abc import Mapping

import click

from stack.story.plan import Step
from stack.story.watch import Moment, Watch

_WIDTH = max(len(step) for step in Step)
_COLOURS = {
    Step.BROKEN: "red",
    Step.SEEN: "yellow",
    Step.ALERT: "red",
    Step.ACTION: "cyan",
    Step.PROVED: "green",
    Step.RESOLVED: "green",
    Step.RESOLVED_MAIL: "green",
    Step.MENDED: "green",
}


class Screen:
    """Prints to standard output, or error; colours and the clock only where that is a terminal."""

    def __init__(self, to_error: bool = False) -> None:
        self._to_error = to_error
        self.is_terminal = (sys.stderr if to_error else sys.stdout).isatty()
        self._pending = False

    def title(self, text: str, urls: Mapping[str, str]) -> None:
        """Head the timeline, and say where else to look."""
        self._print(click.style(text, bold=True))
        places = (("site", "site"), ("console", "remediator"), ("mails", "mailbox"))
        self.note("   ".join(f"{word} {urls[service]}" for word, service in places))

    def moment(self, moment: Moment) -> None:
        """Print a moment: seconds since the break, the step's word, what it is."""
        text = moment.text if moment.step else click.style(moment.text, dim=True)
        self._line(moment.at, moment.step or "", text, _colour(moment))

    def clock(self, now: float, watch: Watch) -> None:
        """Show on a terminal how long it has been, and what is waited for."""
        expected = watch.missing[0] if watch.missing and not watch.awaits_mending else None
        what = f"waiting for: {expected}" if expected else "watching that nothing else happens"
        self._transient(f"{now - watch.broken_at:6.1f} s  … {what}")

    def waiting(self, text: str) -> None:
        """Show on a terminal what is waited for before it begins."""
        self._transient(f"… {text}")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._print(click.style(text, dim=True))

    def wrong(self, text: str) -> None:
        """Print what should not be so."""
        self._print(click.style(f"WRONG: {text}", fg="red"))

    def summary(self, good: bool, text: str) -> None:
        """Print the last line."""
        word = (
            click.style("As it should be", fg="green")
            if good
            else click.style("NOT AS IT SHOULD BE", fg="red")
        )
        self._print(f"{word}: {text}")

    def _line(self, seconds: float, word: str, text: str, colour: str | None) -> None:
        at = click.style(f"{seconds:6.1f} s", dim=True)
        self._print(f"{at}  {click.style(f'{word:<{_WIDTH}}', fg=colour, bold=bool(word))}  {text}")

    def _print(self, line: str) -> None:
        self._clear()
        click.echo(line, err=self._to_error)

    def _transient(self, line: str) -> None:
        if self.is_terminal:
            self._clear()
            click.echo(click.style(line, dim=True), nl=False, err=self._to_error)
            self._pending = True

    def _clear(self) -> None:
        if self._pending:
            click.echo("\r\x1b[K", nl=False, err=self._to_error)
            self._pending = False


def _colour(moment: Moment) -> str | None:
    return _COLOURS.get(moment.step) if moment.step else None
