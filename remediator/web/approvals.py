"""Questions to people and their answers, as JSON."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, abort, jsonify
from flask.typing import ResponseReturnValue

from remediator.model.holds import Answer, Approval
from remediator.service import Remediator
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.web.bodies import json_object
from remediator.web.incidents import MOST_ID
from remediator.web.texts import sound


def routes(remediator: Remediator) -> Blueprint:
    """Make the routes of approvals."""
    routes = Blueprint("approvals", __name__, url_prefix="/api/v1/approvals")

    @routes.get("")
    def listing() -> ResponseReturnValue:
        """Tell what is asked now, with the evidence that was taken for it."""
        return jsonify(approvals=open_questions(remediator))

    @routes.post("/<int:approval_id>")
    def answer(approval_id: int) -> ResponseReturnValue:
        body = json_object()
        verdict, by = body.get("verdict"), body.get("by")
        if verdict not in (Answer.APPROVED, Answer.DENIED):
            abort(400, 'verdict must be "approved" or "denied"')
        if not isinstance(by, str) or not by.strip() or not sound(by):
            abort(400, "by must be the name of who answers, at most 500 characters")
        return jsonify(asdict(keep(remediator, approval_id, Answer(verdict), by.strip())))

    return routes


def open_questions(remediator: Remediator) -> list[dict[str, object]]:
    """Return what is asked now, oldest first: the question, its incident, and what was found there."""
    found = []
    with remediator.store.read() as connection:
        for question, site in store_approvals.unanswered(connection):
            incident = store_incidents.get(connection, question.incident_id)
            attempts = store_attempts.of_incident(connection, question.incident_id)
            found.append(
                {
                    **asdict(question),
                    "site": site,
                    "opened_at": incident.opened_at if incident else None,
                    "probe_reason": incident.probe_reason if incident else None,
                    "look": asdict(incident.look) if incident and incident.look else None,
                    "attempts": [
                        {key: one[key] for key in ("action", "server", "stage", "detail", "created_at")}
                        for one in attempts
                    ],
                }
            )
    return found


def keep(remediator: Remediator, approval_id: int, verdict: Answer, by: str) -> Approval:
    """Keep an answer and have the incident looked at; aborts with 404, or 409 where it is asked no more."""
    lasts = remediator.policy().limits.approval_lasts
    with remediator.store.write() as connection:
        if approval_id > MOST_ID or store_approvals.get(connection, approval_id) is None:
            abort(404, "no such question: ./sitemedic approvals shows what is asked")
        now = remediator.settings.now()
        kept = store_approvals.answer(connection, approval_id, verdict, by, now, lasts)
    if kept is None:
        abort(409, "this was answered already, or is not asked any more")
    remediator.reconciler.wake((kept.incident_id,))
    return kept
