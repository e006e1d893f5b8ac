"""JSON bodies of the API: read with every fault as a 4xx that says what is wrong."""

from __future__ import annotations

import json
from typing import Any

from flask import abort, request


def json_object() -> dict[str, Any]:
    """Return the body, which must be a JSON object; no body is an empty one. Aborts with 400, 413, 415."""
    kind = request.mimetype
    if kind and kind != "application/json":
        abort(415, f"the body must be application/json (got {kind[:80]})")
    try:
        body = json.loads(request.get_data(cache=False) or b"{}")
    except (ValueError, RecursionError):
        abort(400, "the body must be JSON")
    if not isinstance(body, dict):
        abort(400, "the body must be a JSON object")
    return body
