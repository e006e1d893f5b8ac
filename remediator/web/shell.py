"""What every page of the console has: its style, how times are written, and what holds healing back now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response
from flask.typing import ResponseReturnValue

from core.durations import format_duration
from remediator.model.holds import Maintenance, Pause, Storm
from remediator.model.next_step import doing, words
from remediator.model.outages import percent
from remediator.service import Remediator
from remediator.store.console import waiting_questions
from remediator.store.database import pauses
from remediator.store.storm import last_storm

_STYLE = (Path(__file__).resolve().parent.parent / "templates" / "console.css").read_text(encoding="utf-8")
_STYLE_VERSION = sha256(_STYLE.encode()).hexdigest()[:12]
_GOOD, _WARN, _BAD = "good", "warn", "bad"
LOOKS: Mapping[str, str] = {
    "open": _WARN, "observing": _WARN, "awaiting_approval": _BAD, "attempting": _WARN, "verifying": _WARN,
    "needs_human": _BAD, "recovered": _GOOD, "healed": _GOOD, "by_itself": _GOOD, "by_a_human": _GOOD,
    "not_down": _GOOD, "already_over": _GOOD, "succeeded": _GOOD, "failed": _BAD, "abandoned": "quiet",
    "up": _GOOD, "down": _BAD,
    "running": _GOOD, "unhealthy": _BAD, "paused": _WARN, "created": _WARN, "removing": _WARN,
    "restarting": _BAD, "exited": _BAD, "dead": _BAD, "absent": _BAD,
}  # fmt: skip
"""The colour of a state."""


@dataclass(frozen=True)
class Banner:
    """What everybody must see on every page."""

    pauses: tuple[Pause, ...]
    storm: Storm | None
    windows: tuple[Maintenance, ...]
    questions: int


def register(app: Flask, remediator: Remediator) -> None:
    """Give the pages their filters, their style and their banner."""
    for name, write in (
        ("clock", clock), ("lasting", lasting), ("words", words), ("percent", percent), ("ago", ago),
        ("moment", moment), ("doing", doing), ("size", size),
    ):  # fmt: skip
        app.add_template_filter(write, name)

    @app.context_processor
    def shell() -> dict[str, Any]:
        return {"banner": lambda: banner(remediator), "looks": LOOKS, "style": _STYLE_VERSION}

    routes = Blueprint("shell", __name__)

    @routes.get("/console.css")
    def style() -> ResponseReturnValue:
        headers = {"Cache-Control": "public, max-age=86400", "ETag": f'"{_STYLE_VERSION}"'}
        return Response(_STYLE, content_type="text/css; charset=utf-8", headers=headers)

    app.register_blueprint(routes)


def banner(remediator: Remediator) -> Banner:
    """Return what holds healing back now, and how many questions wait."""
    now, policy = remediator.settings.now(), remediator.policy()
    with remediator.store.read() as connection:
        paused = pauses(connection)
        storm = last_storm(connection)
        questions = waiting_questions(connection)
    lasts = max(remediator.settings.timing.storm_lasts, policy.limits.storm_cooldown)
    ends = ((one.name, one.open_until(now)) for one in policy.windows)
    return Banner(
        pauses=tuple(one for one in paused if one.until is None or one.until > now),
        storm=storm if storm and now - storm.seen_at < lasts else None,
        windows=tuple(Maintenance(name, end) for name, end in ends if end is not None),
        questions=questions,
    )


def clock(at: float | None) -> str:
    """Write a time."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(at: float | None) -> str:
    """Write a time as short as it is clear: today's without its date."""
    if at is None:
        return ""
    then, today = datetime.fromtimestamp(at, UTC), datetime.now(UTC).date()
    return f"{then:%H:%M} UTC" if then.date() == today else f"{then:%Y-%m-%d %H:%M} UTC"


def lasting(seconds: float | None) -> str:
    """Write how long something lasts, as roughly as one would say it."""
    if seconds is None:
        return ""
    step = 1 if seconds < 600 else 60 if seconds < 86400 else 3600
    return format_duration(max(0, round(seconds / step) * step))


def ago(at: float | None) -> str:
    """Write how long ago something was."""
    if at is None:
        return ""
    seconds = time.time() - at
    return f"{lasting(seconds if seconds < 60 else seconds // 60 * 60)} ago"


def size(count: float | None) -> str:
    """Write so many bytes as one would say it."""
    if count is None:
        return ""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1000:
            break
        count, unit = count / 1024, {"bytes": "KiB", "KiB": "MiB", "MiB": "GiB"}[unit]
    return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
