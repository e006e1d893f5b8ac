"""The heartbeat prober: a job that calls the exporter; what it tells is read from the exporter's own book.

There is nothing to connect to: a site's schedule and `/probe?site=` look into the book (`Heartbeats`), and
a probe of the bare target has none to look into.
"""

import re
from typing import NamedTuple

from pydantic import ConfigDict

from core.sites import Options
from exporter.families import gauge
from exporter.labels import Labels
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.reason import Reason
from exporter.result import Result
from exporter.target import TargetError

FAMILIES = (
    gauge(
        "sitemedic_heartbeat_last_success_timestamp_seconds",
        "When the job last said that it had succeeded; absent before the first time.",
    ),
    gauge(
        "sitemedic_heartbeat_due_timestamp_seconds",
        "Until when the job must be heard, its grace included; then the site fails.",
    ),
    gauge(
        "sitemedic_heartbeat_run_duration_seconds",
        "How long the last run took that told its start and its end.",
    ),
)
_SCHEME = "heartbeat"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


class HeartbeatFacts(NamedTuple):
    """What only a look at a heartbeat knows; times in unix seconds."""

    succeeded: float | None
    due: float
    took: float | None


class HeartbeatOptions(Options):
    """Nothing: what a heartbeat is judged by stands at its site."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def name_of(target: str) -> str:
    """Read `heartbeat://nightly-backup`. Raises TargetError."""
    scheme, separator, name = target.partition("://")
    if not separator or scheme.lower() != _SCHEME or not _NAME.fullmatch(name):
        raise TargetError(
            f"{target!r} must be heartbeat:// and a name of letters, digits, '.', '_' and '-': "
            "heartbeat://nightly-backup"
        )
    return name


async def probe(_attempt: Attempt, reading: Reading) -> None:
    """Say that only the exporter that is called knows this job."""
    reading.fail(
        Reason.ERROR, "a heartbeat is known to the running exporter only: ask it for /probe?site=NAME"
    )


def lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    facts, of = result.facts, labels.plain
    assert isinstance(facts, HeartbeatFacts)
    success, due, run = (family.name for family in FAMILIES)
    return (
        f"{success}{of} {facts.succeeded!r}\n" if facts.succeeded is not None else "",
        f"{due}{of} {facts.due!r}\n",
        f"{run}{of} {facts.took!r}\n" if facts.took is not None else "",
    )


def _place(target: str) -> Place:
    return Place("", 0, _SCHEME, name_of(target))


HEARTBEAT = Prober(
    "heartbeat",
    HeartbeatOptions,
    probe,
    schemes=(_SCHEME,),
    place=_place,
    module="heartbeat",
    families=FAMILIES,
    lines=lines,
    networked=False,
)
