"""Readiness as JSON: would healing work right now."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from remediator.service import Remediator


def routes(remediator: Remediator) -> Blueprint:
    """Make the route of readiness."""
    routes = Blueprint("readiness", __name__, url_prefix="/api/v1/readiness")

    @routes.get("")
    def report() -> ResponseReturnValue:
        """Tell the newest answers; nothing is asked anew."""
        return jsonify(remediator.readiness.report().to_json())

    return routes
