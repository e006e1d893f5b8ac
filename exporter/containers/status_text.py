"""What the engine's list of containers says in words ("Up 3 minutes (healthy)"), held against what we know.

The list costs one call for all, and lacks the times; the words tell whether they are still those we know.
Words: moby, api/types/container and github.com/docker/go-units HumanDuration.
"""

from __future__ import annotations

import re

from exporter.containers.model import Container, Health, State

_WORDS = re.compile(
    r"(?:Up|(?P<ended>Exited|Restarting) \((?P<code>-?\d+)\)) (?P<age>.*?)(?: ago)?(?: \((?P<note>[^()]*)\))?"
)
_HEALTH = {
    "healthy": Health.HEALTHY,
    "unhealthy": Health.UNHEALTHY,
    "health: starting": Health.STARTING,
}
_SLACK = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Seconds: the engine's clock is known to a second, and its answer took time."""


def still_holds(status: str, known: Container, now: float) -> bool:
    """Tell whether the list's words fit what we know; `now` is the engine's time in unix seconds."""
    said = _WORDS.fullmatch(status)
    if said is None:
        return status in ("Created", "Dead") and known.state in (State.CREATED, State.DEAD)
    if said["code"] is not None and int(said["code"]) != known.exit_code:
        return False
    tells_health = said["note"] in _HEALTH or known.state is State.RUNNING
    if tells_health and _HEALTH.get(said["note"] or "") is not known.health:
        return False
    since = known.started_at if said["ended"] is None else known.finished_at
    return since is not None and said["age"] in {human(now - since + slack) for slack in _SLACK}


def human(seconds: float) -> str:
    """Say an age as Docker does."""
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / 3600 + 0.5)
    steps = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 14, f"{hours // 24} days"),
        (hours < 24 * 60, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for holds, text in steps if holds), f"{int(seconds / 3600) // 24 // 365} years")
