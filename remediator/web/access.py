"""Who may ask for what: one rule for every route, and closed where nothing is said.

Programs show the API's token. People sign in; their session reads the API, and acts through the console's
forms alone, which carry a token of the session and are sent from our own pages.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask, abort, g, jsonify, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from core.secrets import Secret
from core.web.bearer import bearer_matches
from remediator.service import Settings

OPEN = frozenset(
    {
        "operations.metrics",
        "operations.healthy",
        "operations.ready",
        "webhook.alertmanager",  # has a token of its own
        "shell.style",
        "sign_in.form",
        "sign_in.enter",
        "pages.runbook_page",  # the same text is in every copy of Sitemedic
        "status.page",
        "status.as_json",
    }
)
_PROGRAMS = ("/api/", "/-/", "/webhook/", "/metrics")
_READS = ("GET", "HEAD", "OPTIONS")
CSRF = "csrf"


def guard(app: Flask, settings: Settings) -> None:
    """Ask every request who it is before anything is done."""

    @app.before_request
    def ask() -> ResponseReturnValue | None:
        if request.endpoint is None or request.endpoint in OPEN:
            return None  # what is not there is nobody's secret
        if for_programs(request.path):
            return _program(settings)
        return _person(settings)


def for_programs(path: str) -> bool:
    """Tell whether programs ask for this, and not people."""
    return path.startswith(_PROGRAMS) or path.endswith(".json")


def person() -> str | None:
    """Return the name of who is signed in."""
    name: str | None = g.get("person")
    return name


def needs_token(
    token: Secret, refused: Callable[[], None] = lambda: None
) -> Callable[[Callable[..., ResponseReturnValue]], Callable[..., ResponseReturnValue]]:
    """Let only requests with `Authorization: Bearer <token>` through."""

    def decorate(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not bearer_matches(request.headers.get("Authorization"), token):
                refused()
                return _no_token()
            return view(*args, **kwargs)

        return guarded

    return decorate


def check_form(settings: Settings) -> None:
    """Refuse a form that was not sent from a page of ours, in this session."""
    origin = request.headers.get("Origin", "")
    ours = {request.host_url.rstrip("/"), _origin(settings.console_url)}
    if origin not in ours:
        abort(403, "this form was not sent from a page of this console")
    known, given = session.get(CSRF, ""), request.form.get(CSRF, "")
    if not known or not hmac.compare_digest(known.encode(), given.encode("utf-8", "replace")):
        abort(403, "this form is too old: go back, load the page anew, and send it again")


def _program(settings: Settings) -> ResponseReturnValue | None:
    if bearer_matches(request.headers.get("Authorization"), settings.api_token):
        return None
    if request.method in _READS and g.get("person"):
        return None
    return _no_token()


def _person(settings: Settings) -> ResponseReturnValue | None:
    if not g.get("person"):
        if request.method not in _READS:
            abort(403, "nobody is signed in: sign in, and do it again")
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and "again" not in request.args:
            return _come_again()
        wanted = request.full_path.rstrip("?")
        return redirect(f"/login?next={quote(wanted, safe='/')}", 303)
    if request.method not in _READS:
        check_form(settings)
    return None


def _come_again() -> ResponseReturnValue:
    """Have the browser ask again from our own page: from a link in a mail it sends no strict cookie."""
    wanted = request.full_path.rstrip("?")
    return render_template("again.html", address=f"{wanted}{'&' if '?' in wanted else '?'}again=1")


def _no_token() -> ResponseReturnValue:
    answer = jsonify(error="needs Authorization: Bearer with the right token")
    return answer, 401, {"WWW-Authenticate": "Bearer"}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
