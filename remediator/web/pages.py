"""The console's pages that only show: sites, incidents, runbooks, readiness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from remediator.model.facts import Sites
from remediator.model.incident import Incident, Outcome, State
from remediator.model.next_step import next_step
from remediator.model.outages import DAY, pieces, uptime
from remediator.model.seen import SiteState
from remediator.service import Remediator
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import console as store_console
from remediator.store import incidents as store_incidents
from remediator.store.database import decisions, timeline
from remediator.store.watched import watched_since
from remediator.web.containers import seen_containers
from remediator.web.incidents import MOST_ID
from remediator.web.query import asked_number, asked_text
from remediator.web.runbooks import runbook, runbooks
from remediator.web.texts import sound

PAGE = 50
"""Sites or incidents on one page."""
MOST_URGENT = 10
"""Open incidents on the first page."""
WEEK = 7 * DAY


def routes(remediator: Remediator) -> Blueprint:
    """Make the pages of a remediator."""
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def overview() -> ResponseReturnValue:
        return render_template("overview.html", **_overview(remediator))

    @pages.get("/site")
    def site() -> ResponseReturnValue:
        return render_template("site.html", **_site(remediator, request.args.get("name", "")))

    @pages.get("/incidents")
    def incidents() -> ResponseReturnValue:
        return render_template("incidents.html", **_incidents(remediator))

    @pages.get("/incidents/<int:incident_id>")
    def incident(incident_id: int) -> ResponseReturnValue:
        return render_template("incident.html", **_incident(remediator, incident_id))

    @pages.get("/runbooks")
    def runbook_list() -> ResponseReturnValue:
        return render_template("runbooks.html", names=runbooks())

    @pages.get("/runbooks/<name>")
    def runbook_page(name: str) -> ResponseReturnValue:
        text = runbook(name)
        if text is None:
            abort(404, "no such runbook")
        return render_template("runbook.html", name=name, text=text)

    @pages.get("/readiness")
    def readiness() -> ResponseReturnValue:
        return render_template("readiness.html", found=checked(remediator))

    return pages


def checked(remediator: Remediator) -> dict[str, Any] | None:
    """Return what the checks of readiness found last, what is wrong first; None before the first one."""
    found = remediator.readiness.report().to_json()
    found["checks"].sort(key=lambda one: (one["ok"] is not False, one["ok"] is not None))
    return found if found["checks"] else None


def _overview(remediator: Remediator) -> dict[str, Any]:
    wanted, state = asked_text("q"), request.args.get("state", "")
    sites = remediator.gatherer.sites()
    found = _wanted_sites(sites, wanted, state)
    page = min(asked_number("page", 1), max(1, -(-len(found) // PAGE)))
    shown = found[(page - 1) * PAGE : page * PAGE]
    now = remediator.settings.now()
    with remediator.store.read() as connection:
        counts = store_incidents.counts(connection)
        urgent = store_console.open_incidents(connection, MOST_URGENT)
        last = store_console.last_decisions(connection, [one.id for one in urgent])
        outages = store_console.outages(connection, [one.site for one in shown], now - DAY)
    return {
        "sites": shown,
        "containers": seen_containers(remediator, sites),
        "strips": {one.site: pieces(outages.get(one.site, ()), now, DAY) for one in shown},
        "found": len(found),
        "total": None if sites is None else len(sites),
        "failing": len(sites.failing) if sites is not None else 0,
        "page": page,
        "last_page": max(1, -(-len(found) // PAGE)),
        "wanted": wanted,
        "state": state,
        "open_incidents": [(one, next_step(one, last.get(one.id))) for one in urgent],
        "open_count": sum(counts.values()),
        "needs_human": counts.get(State.NEEDS_HUMAN, 0),
        "policy": remediator.policy(),
    }


def _wanted_sites(sites: Sites | None, wanted: str, state: str) -> list[SiteState]:
    """Return the sites with these words in their name or group: failing first, then unknown, then by name."""
    lower = wanted.lower()
    found: Iterable[SiteState] = (sites or {}).values()
    if lower:
        found = (one for one in found if lower in one.site.lower() or lower in (one.group or "").lower())
    if state == "down":
        found = (one for one in found if one.success is False)
    elif state == "up":
        found = (one for one in found if one.success)
    return sorted(found, key=lambda one: (one.success is not False, one.success is not None, one.site))


def _site(remediator: Remediator, name: str) -> dict[str, Any]:
    sites = remediator.gatherer.sites()
    plan = remediator.policy().sites.get(name)
    state = sites.get(name) if sites is not None else None
    now = remediator.settings.now()
    if not sound(name) or not name:
        abort(404, "no such site")
    with remediator.store.read() as connection:
        incidents = store_console.of_site(connection, name, PAGE)
        outages = store_console.outages(connection, [name], now - 90 * DAY).get(name, [])
        watched = watched_since(connection, [name]).get(name, now)
    if plan is None and state is None and not incidents:
        abort(404, "no such site")
    return {
        "name": name,
        "state": state,
        "plan": plan,
        "containers": seen_containers(remediator, sites),
        "incidents": incidents,
        "strips": (("24 hours", pieces(outages, now, DAY)), ("7 days", pieces(outages, now, WEEK))),
        "watched_since": watched,
        "uptimes": [
            (words, uptime(outages, now, days * DAY, watched))
            for words, days in (("24 hours", 1), ("7 days", 7), ("90 days", 90))
        ],
    }


def _incidents(remediator: Remediator) -> dict[str, Any]:
    site, state = asked_text("site"), request.args.get("state", "")
    outcome = next((one for one in Outcome if one == request.args.get("outcome")), None)
    with remediator.store.read() as connection:
        if state == "open":
            page = min(asked_number("page", 1), 10_000)
            found = store_console.open_incidents(connection, PAGE + 1, (page - 1) * PAGE)
            last = store_console.last_decisions(connection, [one.id for one in found])
            nexts = {one.id: next_step(one, last.get(one.id)) for one in found}
            further = {"state": "open", "page": page + 1}
        else:
            before = asked_number("before", MOST_ID)
            found = store_console.closed_incidents(connection, PAGE + 1, before, site, outcome)
            nexts = {}
            further = {
                "site": site,
                "outcome": outcome or "",
                "before": found[PAGE - 1].id if found[PAGE:] else 0,
            }
    return {
        "incidents": found[:PAGE],
        "nexts": nexts,
        "further": further if found[PAGE:] else None,
        "site": site,
        "outcome": outcome or "",
        "outcomes": list(Outcome),
        "only_open": state == "open",
    }


def _incident(remediator: Remediator, incident_id: int) -> dict[str, Any]:
    containers = seen_containers(remediator, remediator.gatherer.sites())
    with remediator.store.read() as connection:
        found = store_incidents.get(connection, incident_id) if incident_id <= MOST_ID else None
        if found is None:
            abort(404, "no such incident")
        decided = decisions(connection, found.id)
        return {
            "incident": found,
            "next": next_step(found, decided[-1] if decided else None),
            "look": asdict(found.look) if found.look else None,
            "timeline": timeline(connection, found.id),
            "decisions": decided,
            "attempts": store_attempts.of_incident(connection, found.id),
            "questions": store_approvals.of_incident(connection, found.id),
            "waits": _waits(found),
            "containers": None if found.closed_at else containers,
        }


def _waits(incident: Incident) -> bool:
    return incident.state is State.AWAITING_APPROVAL
