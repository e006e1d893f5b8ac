"""What every answer carries, and how faults are told: JSON to programs, a page to people."""

from __future__ import annotations

from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from remediator.errors import StoreError
from remediator.web.access import for_programs

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # not no-referrer: with that, browsers send "Origin: null" with our own forms
    "Referrer-Policy": "same-origin",
}


def register(app: Flask) -> None:
    """Have every answer of the application secured, and every fault told."""
    app.after_request(_secure)
    app.register_error_handler(HTTPException, _told)
    app.register_error_handler(StoreError, _unavailable)


def _secure(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _told(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if error.response is not None:
        return error.response
    headers = [one for one in error.get_headers() if one[0] not in ("Content-Type", "Content-Length")]
    return _fault(error.description or error.name, code), code, headers


def _unavailable(error: StoreError) -> ResponseReturnValue:
    return _fault(str(error), 503), 503, {"Retry-After": "2"}


def _fault(message: str, code: int) -> Response:
    if for_programs(request.path):
        return jsonify(error=message)
    return Response(render_template("fault.html", message=message, code=code))
