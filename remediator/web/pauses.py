"""Pauses: as JSON, and as the console's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.durations import parse_duration
from remediator.configuration.policy import Policy
from remediator.model.holds import Pause
from remediator.service import Remediator
from remediator.store.database import add_pause, pauses, remove_pause
from remediator.web.access import person
from remediator.web.bodies import json_object
from remediator.web.texts import local_path, sound

LONGEST = 366 * 86400.0
"""Seconds of the longest pause that ends by itself."""
CHOICES = (
    ("", "until somebody resumes"),
    ("30m", "30 minutes"),
    ("2h", "2 hours"),
    ("8h", "8 hours"),
    ("1d", "1 day"),
)


def routes(remediator: Remediator) -> Blueprint:
    """Make the routes of pauses."""
    routes = Blueprint("pauses", __name__)
    _api(routes, remediator)
    _pages(routes, remediator)
    return routes


def _api(routes: Blueprint, remediator: Remediator) -> None:
    @routes.get("/api/v1/pause")
    def listing() -> ResponseReturnValue:
        return jsonify(pauses=[asdict(one) for one in in_force(remediator)])

    @routes.post("/api/v1/pause")
    def pause() -> ResponseReturnValue:
        wanted = _wanted(json_object(), remediator)
        keep(remediator, wanted)
        return jsonify(asdict(wanted))

    @routes.delete("/api/v1/pause")
    def resume() -> ResponseReturnValue:
        wanted = _wanted(json_object(), remediator, ending=True)
        if not end(remediator, wanted.scope, wanted.by):
            return jsonify(error=f"{wanted.scope} was not paused"), 404
        return jsonify(resumed=wanted.scope)


def _pages(routes: Blueprint, remediator: Remediator) -> None:
    @routes.get("/pause")
    def page() -> ResponseReturnValue:
        policy = remediator.policy()
        asked = request.args.get("scope", "")
        return render_template(
            "pause.html",
            servers=sorted(set(policy.servers.values())),
            choices=CHOICES,
            scope=asked if _known(asked, policy) else "",
        )

    @routes.post("/pause")
    def pause_by_form() -> ResponseReturnValue:
        form = request.form
        scope = form.get("scope", "all")
        if scope == "site":
            scope = f"site:{form.get('site', '').strip()}"
        body = {"scope": scope, "reason": form.get("reason", "").strip(), "by": person()}
        wanted = _wanted({**body, "for": form.get("for") or None}, remediator)
        keep(remediator, wanted)
        flash(f"Paused: {wanted.scope}.")
        return redirect(local_path(form.get("back", ""), "/pause"), 303)

    @routes.post("/resume")
    def resume_by_form() -> ResponseReturnValue:
        body = {"scope": request.form.get("scope", ""), "by": person()}
        wanted = _wanted(body, remediator, ending=True)
        found = end(remediator, wanted.scope, wanted.by)
        flash(f"Resumed: {wanted.scope}." if found else f"{wanted.scope} was not paused any more.")
        return redirect(local_path(request.form.get("back", ""), "/pause"), 303)


def in_force(remediator: Remediator) -> list[Pause]:
    """Return the pauses that hold now."""
    now = remediator.settings.now()
    with remediator.store.read() as connection:
        found = pauses(connection)
    return [one for one in found if one.until is None or one.until > now]


def keep(remediator: Remediator, wanted: Pause) -> None:
    """Pause, and have every open incident looked at."""
    with remediator.store.write() as connection:
        add_pause(connection, wanted)
    remediator.reconciler.wake()


def end(remediator: Remediator, scope: str, by: str) -> bool:
    """Resume; tell whether it was paused."""
    with remediator.store.write() as connection:
        found = remove_pause(connection, scope, by, remediator.settings.now())
    remediator.reconciler.wake()
    return found


def _wanted(body: Mapping[str, Any], remediator: Remediator, ending: bool = False) -> Pause:
    """Read the pause that a request asks for; aborts with 400. What ends need not be in sites.yml now."""
    scope, by, reason = (
        body.get(key, default) for key, default in (("scope", "all"), ("by", ""), ("reason", ""))
    )
    if not (sound(scope) and sound(by) and sound(reason)):
        abort(400, "scope, by and reason must be texts of at most 500 characters, without line breaks")
    if not (_shaped(scope) if ending else _known(scope, remediator.policy())):
        abort(400, 'scope must be "all", "site:NAME" or "server:NAME" with a name of sites.yml')
    now = remediator.settings.now()
    return Pause(scope, by, reason, now, None if ending else _until(body.get("for"), now))


def _until(lasts: object, now: float) -> float | None:
    if lasts is None:
        return None
    try:
        if not isinstance(lasts, str | int | float):
            raise ValueError
        seconds = parse_duration(lasts)
    except ValueError:
        abort(400, "for must be a duration such as 30m or 2h")
    if not 0 < seconds <= LONGEST:
        abort(400, "for must be longer than nothing and at most 366d; without it, until somebody resumes")
    return now + seconds


def _shaped(scope: str) -> bool:
    kind, _, name = scope.partition(":")
    return scope == "all" or (kind in ("site", "server") and name != "")


def _known(scope: str, policy: Policy) -> bool:
    kind, _, name = scope.partition(":")
    known = {"site": policy.sites.keys(), "server": set(policy.servers.values())}
    return scope == "all" or (kind in known and name in known[kind])
