"""The console: one plain page for people, readable on a phone and without JavaScript."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from core.durations import format_duration
from remediator import store_attempts, store_incidents
from remediator.incident import CLOSED, State
from remediator.runbooks import runbook
from remediator.shown import without_log_lines
from remediator.store import decisions, pauses, timeline

if TYPE_CHECKING:
    from remediator.service import Remediator

MOST_SITES = 500
MOST_RECENT = 50
_STYLE = (Path(__file__).parent / "templates" / "console.css").read_text(encoding="utf-8")


def console(remediator: Remediator) -> Blueprint:
    """Make the pages of a remediator."""
    pages = Blueprint("console", __name__, template_folder="templates")
    pages.add_app_template_filter(_clock, "clock")
    pages.add_app_template_filter(_lasting, "lasting")
    pages.add_app_template_filter(_pretty, "pretty")

    @pages.get("/")
    def overview() -> ResponseReturnValue:
        wanted = request.args.get("q", "")[:200]
        return render_template("overview.html", **_overview(remediator, wanted))

    @pages.get("/incidents/<int:incident_id>")
    def incident(incident_id: int) -> ResponseReturnValue:
        found = _incident(remediator, min(incident_id, 2**62))
        if found is None:
            abort(404, "no such incident")
        return render_template("incident.html", **found)

    @pages.get("/runbooks/<name>")
    def runbook_page(name: str) -> ResponseReturnValue:
        text = runbook(name)
        if text is None:
            abort(404, "no such runbook")
        return render_template("runbook.html", name=name, text=text)

    @pages.get("/console.css")
    def style() -> ResponseReturnValue:
        return Response(_STYLE, content_type="text/css; charset=utf-8")

    return pages


def _overview(remediator: Remediator, wanted: str) -> dict[str, Any]:
    with remediator.store.read() as connection:
        incidents = store_incidents.listing(connection, limit=MOST_SITES)
        paused = pauses(connection)
    sites = remediator.gatherer.sites()
    shown = sorted(
        (one for one in (sites or {}).values() if wanted.lower() in one.site.lower()),
        key=lambda one: (one.success is not False, one.success is not None, one.site),
    )
    return {
        "sites": shown[:MOST_SITES],
        "left_out": max(0, len(shown) - MOST_SITES),
        "total": None if sites is None else len(sites),
        "failing": sum(one.success is False for one in (sites or {}).values()),
        "open_incidents": [one for one in incidents if one.state not in CLOSED],
        "recent": [one for one in incidents if one.state in CLOSED][:MOST_RECENT],
        "needs_human": sum(one.state is State.NEEDS_HUMAN for one in incidents),
        "paused": paused,
        "wanted": wanted,
        "policy": remediator.policy(),
    }


def _incident(remediator: Remediator, incident_id: int) -> dict[str, Any] | None:
    with remediator.store.read() as connection:
        found = store_incidents.get(connection, incident_id)
        if found is None:
            return None
        return {
            "incident": found,
            "look": without_log_lines(asdict(found.look)) if found.look else None,
            "timeline": timeline(connection, found.id),
            "decisions": decisions(connection, found.id),
            "attempts": without_log_lines(store_attempts.of_incident(connection, found.id)),
        }


def _clock(time: float | None) -> str:
    return "" if time is None else f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lasting(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(max(0, round(seconds)))


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
