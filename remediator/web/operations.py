"""What those who run Sitemedic ask: metrics, health, a reload, and the description of the API."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core import VERSION
from core.faults import ConfigError
from remediator.service import Remediator

_TEXT = "text/plain; charset=utf-8"


@cache
def openapi() -> dict[str, Any]:
    """Return the description of the whole API."""
    text = Path(__file__).with_name("openapi.yml").read_text(encoding="utf-8")
    described: dict[str, Any] = yaml.safe_load(text)
    described["info"]["version"] = VERSION
    return described


def routes(remediator: Remediator) -> Blueprint:
    """Make the operator's routes."""
    routes = Blueprint("operations", __name__)

    @routes.get("/metrics")
    def metrics() -> ResponseReturnValue:
        return Response(generate_latest(remediator.metrics.registry), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/-/healthy")
    def healthy() -> ResponseReturnValue:
        return Response("the remediator is healthy\n", content_type=_TEXT)

    @routes.get("/-/ready")
    def ready() -> ResponseReturnValue:
        why_not = remediator.ready()
        text = f"not ready: {why_not}\n" if why_not else "the remediator is ready\n"
        return Response(text, 503 if why_not else 200, content_type=_TEXT)

    @routes.post("/-/reload")
    def reload() -> ResponseReturnValue:
        try:
            remediator.reload()
        except ConfigError as error:
            return Response(f"{error}\n", 500, content_type=_TEXT)
        return Response("reloaded\n", content_type=_TEXT)

    @routes.get("/api/v1/openapi.json")
    def description() -> ResponseReturnValue:
        return jsonify(openapi())

    return routes
