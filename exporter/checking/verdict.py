"""One probe's outcome for a person's eyes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.result import Phases, Result

_DAY = 86400.0
_PHASES = ("resolve", "connect", "tls", "processing", "transfer")


@dataclass(frozen=True)
class Marks:
    """What stands before a verdict, and between two facts."""

    good: str
    bad: str
    between: str


SYMBOLS = Marks("✓", "✗", " · ")
WORDS = Marks("ok  ", "FAIL", ", ")


def marks_for(encoding: str | None) -> Marks:
    """Return the marks that a stream of that encoding can show."""
    try:
        (SYMBOLS.good + SYMBOLS.bad + SYMBOLS.between).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return WORDS
    return SYMBOLS


def verdicts(outcomes: Sequence[tuple[str, Result]], marks: Marks, now: float | None = None) -> str:
    """Return the verdicts on `outcomes` (shown target, result), two lines each, in columns."""
    width = max((len(shown) for shown, _ in outcomes), default=0)
    now = time.time() if now is None else now
    lines = []
    for shown, result in outcomes:
        mark = marks.good if result.success else marks.bad
        said = _good(result) if result.success else f"{result.reason}: {result.detail}"
        lines.append(f"{mark} {shown:<{width}}  {said}")
        facts = marks.between.join([*_phases(result.phases), *_certificate(result, now)])
        if facts:
            lines.append(f"{' ' * len(mark)} {' ' * width}  {facts}")
    return "\n".join(lines) + "\n"


def seconds(value: float) -> str:
    """Write a short time in three digits: `0.4ms`, `12ms`, `1.25s`."""
    if value < 0.0095:
        return f"{value * 1000:.1f}ms"
    return f"{value * 1000:.0f}ms" if value < 0.9995 else f"{value:.2f}s"


def _good(result: Result) -> str:
    took = seconds(result.duration)
    return f"{result.status_code} in {took}" if result.status_code else f"connected in {took}"


def _phases(phases: Phases) -> list[str]:
    return [f"{name} {seconds(value)}" for name in _PHASES if (value := getattr(phases, name)) > 0]


def _certificate(result: Result, now: float) -> list[str]:
    expiry = result.tls.earliest_expiry if result.tls else None
    if expiry is None:
        return []
    date = datetime.fromtimestamp(expiry, UTC).date().isoformat()
    days = int((expiry - now) // _DAY)
    if expiry <= now:
        return [f"certificate expired on {date}"]
    return [f"certificate until {date} ({days} {'day' if days == 1 else 'days'} left)"]
