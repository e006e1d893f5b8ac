"""Where Alertmanager posts to."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from remediator.intake.alerts import PayloadError, parse
from remediator.service import Remediator
from remediator.web.access import needs_token


def routes(remediator: Remediator) -> Blueprint:
    """Make the webhook of a remediator."""
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
