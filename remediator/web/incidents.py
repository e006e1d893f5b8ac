"""Incidents as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from remediator.model.incident import Incident
from remediator.service import Remediator
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import decisions, timeline

MOST_INCIDENTS = 500
MOST_ID = 2**31 - 1
"""A larger number is no incident's: PostgreSQL does not even take it."""


def routes(remediator: Remediator) -> Blueprint:
    """Make the routes of incidents."""
    routes = Blueprint("incidents", __name__, url_prefix="/api/v1/incidents")

    @routes.get("")
    def listing() -> ResponseReturnValue:
        state = request.args.get("state")
        if state not in (None, "open"):
            abort(400, "state can only be open")
        with remediator.store.read() as connection:
            found = store_incidents.listing(connection, MOST_INCIDENTS, only_open=state == "open")
        return jsonify(incidents=[_incident(one) for one in found])

    @routes.get("/<int:incident_id>")
    def one(incident_id: int) -> ResponseReturnValue:
        """Tell all of an incident, with the evidence and its log lines."""
        detail = incident_detail(remediator, incident_id)
        if detail is None:
            return jsonify(error="no such incident"), 404
        return jsonify(detail)

    return routes


def incident_detail(remediator: Remediator, incident_id: int) -> dict[str, Any] | None:
    """Return an incident with its attempts, decisions and timeline; None where there is none of that id."""
    if incident_id > MOST_ID:
        return None
    with remediator.store.read() as connection:
        found = store_incidents.get(connection, incident_id)
        if found is None:
            return None
        return {
            **_incident(found),
            "look": asdict(found.look) if found.look else None,
            "attempts": store_attempts.of_incident(connection, incident_id),
            "approvals": [asdict(one) for one in store_approvals.of_incident(connection, incident_id)],
            "decisions": decisions(connection, incident_id),
            "timeline": timeline(connection, incident_id),
        }


def _incident(incident: Incident) -> dict[str, Any]:
    hidden = {"look", "decided", "told"}
    return {name: value for name, value in asdict(incident).items() if name not in hidden}
