"""The remediator over HTTP: the webhook, metrics, health, and the JSON that people's tools ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException

from core.faults import ConfigError
from core.secrets import Secret
from core.web import bearer_matches
from remediator import store_attempts, store_incidents
from remediator.alerts import MAX_BODY, PayloadError, parse
from remediator.console import console
from remediator.errors import StoreError
from remediator.incident import Incident, Pause
from remediator.service import Remediator
from remediator.shown import without_log_lines
from remediator.store import add_pause, decisions, pauses, remove_pause, timeline

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_INCIDENTS = 500


def create_app(remediator: Remediator) -> Flask:
    """Make the WSGI application of a remediator."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.register_blueprint(_webhook(remediator))
    app.register_blueprint(_operations(remediator))
    app.register_blueprint(_incidents(remediator))
    app.register_blueprint(_pauses(remediator))
    app.register_blueprint(console(remediator))
    app.register_error_handler(HTTPException, _told)
    app.register_error_handler(StoreError, _unavailable)
    app.after_request(_secure)
    return app


def _secure(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    return response


def _told(error: HTTPException) -> ResponseReturnValue:
    return jsonify(error=error.description or error.name), error.code or 500


def _unavailable(error: StoreError) -> ResponseReturnValue:
    return jsonify(error=str(error)), 503


def needs_token(
    token: Secret, refused: Callable[[], None] = lambda: None
) -> Callable[[Callable[..., ResponseReturnValue]], Callable[..., ResponseReturnValue]]:
    """Let only requests with `Authorization: Bearer <token>` through."""

    def decorate(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not bearer_matches(request.headers.get("Authorization"), token):
                refused()
                answer = jsonify(error="needs Authorization: Bearer with the right token")
                return answer, 401, {"WWW-Authenticate": "Bearer"}
            return view(*args, **kwargs)

        return guarded

    return decorate


def _webhook(remediator: Remediator) -> Blueprint:
    routes = Blueprint("webhook", __name__)
    outcomes = remediator.metrics.notifications

    @routes.post("/webhook/alertmanager")
    @needs_token(remediator.settings.webhook_token, outcomes.labels("unauthorized").inc)
    def alertmanager() -> ResponseReturnValue:
        """Store a notification; 200 only once it and its incidents are on disk."""
        with remediator.metrics.ingest.time():
            try:
                body = request.get_data(cache=False)
                taken = remediator.take(parse(body), body)
            except (PayloadError, HTTPException) as error:
                outcomes.labels("invalid").inc()
                code = (error.code or 400) if isinstance(error, HTTPException) else 400
                reason = error.description if isinstance(error, HTTPException) else str(error)
                return jsonify(error=reason), code
            except Exception:
                outcomes.labels("not_stored").inc()
                raise
            outcomes.labels("stored").inc()
            return jsonify(opened=list(taken.opened), woken=list(taken.woken))

    return routes


def _operations(remediator: Remediator) -> Blueprint:
    routes = Blueprint("operations", __name__)

    @routes.get("/metrics")
    def metrics() -> ResponseReturnValue:
        return Response(generate_latest(remediator.metrics.registry), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/-/healthy")
    def healthy() -> ResponseReturnValue:
        return Response("the remediator is healthy\n", content_type="text/plain; charset=utf-8")

    @routes.get("/-/ready")
    def ready() -> ResponseReturnValue:
        why_not = remediator.ready()
        text = f"not ready: {why_not}\n" if why_not else "the remediator is ready\n"
        return Response(text, 503 if why_not else 200, content_type="text/plain; charset=utf-8")

    @routes.post("/-/reload")
    @needs_token(remediator.settings.api_token)
    def reload() -> ResponseReturnValue:
        try:
            remediator.reload()
        except ConfigError as error:
            return Response(f"{error}\n", 500, content_type="text/plain; charset=utf-8")
        return Response("reloaded\n", content_type="text/plain; charset=utf-8")

    return routes


def _incidents(remediator: Remediator) -> Blueprint:
    routes = Blueprint("incidents", __name__, url_prefix="/api/v1/incidents")

    @routes.get("")
    def listing() -> ResponseReturnValue:
        only_open = request.args.get("state") == "open"
        with remediator.store.read() as connection:
            found = store_incidents.listing(connection, MOST_INCIDENTS, only_open)
        return jsonify(incidents=[_incident(one) for one in found])

    @routes.get("/<int:incident_id>")
    def one(incident_id: int) -> ResponseReturnValue:
        """Tell all of an incident; its log lines only with the token of the API."""
        detail = incident_detail(remediator, incident_id)
        if detail is None:
            return jsonify(error="no such incident"), 404
        known = bearer_matches(request.headers.get("Authorization"), remediator.settings.api_token)
        return jsonify(detail if known else without_log_lines(detail))

    return routes


def incident_detail(remediator: Remediator, incident_id: int) -> dict[str, Any] | None:
    """Return an incident with its attempts, decisions and timeline; None where there is none of that id."""
    if incident_id > 2**62:
        return None
    with remediator.store.read() as connection:
        found = store_incidents.get(connection, incident_id)
        if found is None:
            return None
        return {
            **_incident(found),
            "look": asdict(found.look) if found.look else None,
            "attempts": store_attempts.of_incident(connection, incident_id),
            "decisions": decisions(connection, incident_id),
            "timeline": timeline(connection, incident_id),
        }


def _incident(incident: Incident) -> dict[str, Any]:
    hidden = {"look", "decided", "told"}
    return {name: value for name, value in asdict(incident).items() if name not in hidden}


def _pauses(remediator: Remediator) -> Blueprint:
    routes = Blueprint("pauses", __name__, url_prefix="/api/v1/pause")
    guarded = needs_token(remediator.settings.api_token)

    @routes.get("")
    def listing() -> ResponseReturnValue:
        with remediator.store.read() as connection:
            return jsonify(pauses=[asdict(one) for one in pauses(connection)])

    @routes.post("")
    @guarded
    def pause() -> ResponseReturnValue:
        wanted = _wanted(remediator)
        if isinstance(wanted, str):
            return jsonify(error=wanted), 400
        with remediator.store.write() as connection:
            add_pause(connection, wanted)
        remediator.reconciler.wake()
        return jsonify(asdict(wanted))

    @routes.delete("")
    @guarded
    def resume() -> ResponseReturnValue:
        wanted = _wanted(remediator, check_name=False)
        if isinstance(wanted, str):
            return jsonify(error=wanted), 400
        with remediator.store.write() as connection:
            found = remove_pause(connection, wanted.scope, wanted.by, remediator.settings.now())
        remediator.reconciler.wake()
        if not found:
            return jsonify(error=f"{wanted.scope} was not paused"), 404
        return jsonify(resumed=wanted.scope)

    return routes


def _wanted(remediator: Remediator, check_name: bool = True) -> Pause | str:
    """Read the pause that a request asks for, or say what is wrong with it."""
    try:
        body = json.loads(request.get_data(cache=False) or b"{}")
    except (ValueError, RecursionError):
        return "the body must be JSON"
    if not isinstance(body, dict):
        return "the body must be a JSON object with scope, by and reason"
    scope, by, reason = (
        body.get(key, default) for key, default in (("scope", "all"), ("by", ""), ("reason", ""))
    )
    if not all(isinstance(value, str) and len(value) <= 500 for value in (scope, by, reason)):
        return "scope, by and reason must be texts of at most 500 characters"
    kind, _, name = scope.partition(":")
    policy = remediator.policy()
    known = {"site": policy.sites.keys(), "server": set(policy.servers.values())}
    if scope != "all" and (kind not in known or (check_name and name not in known[kind])):
        return 'scope must be "all", "site:NAME" or "server:NAME" with a name of sites.yml'
    return Pause(scope, by, reason, remediator.settings.now())
