"""Signing in: one password for the console, and the name of the person, kept in a signed cookie.

The cookie's key is made of the API's token and the password: a restart leaves everybody signed in, a changed
password nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from datetime import timedelta

from flask import Blueprint, Flask, Response, g, make_response, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer

from core.logs import fields
from core.secrets import Secret
from remediator.service import Remediator, Settings
from remediator.web.access import CSRF, check_form
from remediator.web.texts import local_path, sound
from remediator.web.throttle import Throttle

log = logging.getLogger(__name__)
LASTS = 7 * 86400.0
"""Seconds until one has to sign in again."""
LONGEST_NAME = 80
COOKIE = "sitemedic_session"
BROWSER = "sitemedic_browser"
_BROWSER_LASTS = 365 * 86400


def configure(app: Flask, settings: Settings) -> None:
    """Set up the session, and read it with every request."""
    app.secret_key = _key(settings)
    app.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=_over_tls(settings),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=LASTS),
    )

    @app.before_request
    def read_session() -> None:
        since = session.get("since")
        if isinstance(since, int | float) and 0 <= time.time() - since < LASTS:
            g.person = session.get("person")

    @app.context_processor
    def words() -> dict[str, object]:
        return {"person": g.get("person"), "csrf_token": csrf_token}


def csrf_token() -> str:
    """Return what every form of this session carries."""
    token: str = session.setdefault(CSRF, secrets.token_urlsafe(24))
    return token


def routes(remediator: Remediator) -> Blueprint:
    """Make the pages that let in and out."""
    routes = Blueprint("sign_in", __name__)
    throttle = Throttle()

    @routes.get("/login")
    def form() -> ResponseReturnValue:
        wanted = local_path(request.args.get("next", ""))
        return redirect(wanted, 303) if g.get("person") else _form(remediator.settings, wanted)

    @routes.post("/login")
    def enter() -> ResponseReturnValue:
        check_form(remediator.settings)
        return _enter(remediator, throttle)

    @routes.post("/logout")
    def leave() -> ResponseReturnValue:
        session.clear()
        return redirect("/login", 303)

    return routes


def _enter(remediator: Remediator, throttle: Throttle) -> ResponseReturnValue:
    """Let in who gives the password, not too often a wrong one."""
    settings, count = remediator.settings, remediator.metrics.sign_ins.labels
    wanted, name, asker = local_path(request.form.get("next", "")), _name(), _asker(settings)
    if not name:
        return _form(settings, wanted, "Your name, please: it stands beside what you do.", 400)
    if wait := throttle.try_now(asker):
        count("too_many").inc()
        message = f"Too many wrong passwords from here. Try again in {wait:.0f} seconds."
        return _form(settings, wanted, message, 429, {"Retry-After": f"{wait + 1:.0f}"})
    if not _right(request.form.get("password", ""), settings.console_password):
        count("wrong").inc()
        log.warning("wrong password at the console", extra=fields(address=request.remote_addr))
        return _form(settings, wanted, "That is not the password.", 403)
    throttle.forgive(asker)
    count("let_in").inc()
    log.info("signed in to the console", extra=fields(person=name, address=request.remote_addr))
    return _let_in(settings, name, wanted)


def _over_tls(settings: Settings) -> bool:
    return settings.web.tls is not None or settings.console_url.startswith("https:")


def _name() -> str:
    """Return the name that was typed in; nothing where it is none that a page can hold."""
    name = " ".join(request.form.get("name", "").split())
    return name if sound(name, LONGEST_NAME) else ""


def _form(
    settings: Settings, wanted: str, fault: str = "", code: int = 200, headers: dict[str, str] | None = None
) -> ResponseReturnValue:
    shown = {"next": wanted, "fault": fault, "name": request.form.get("name", "")[:LONGEST_NAME]}
    page = render_template("login.html", **shown, without=settings.console_password is None)
    return page, code, headers or {}


def _let_in(settings: Settings, name: str, wanted: str) -> Response:
    session.clear()
    session.permanent = True
    session.update({"person": name, "since": time.time(), CSRF: secrets.token_urlsafe(24)})
    answer = make_response(redirect(wanted, 303))
    answer.set_cookie(
        BROWSER,
        _browsers(settings).dumps(_browser(settings) or secrets.token_urlsafe(12)),
        max_age=_BROWSER_LASTS,
        secure=_over_tls(settings),
        httponly=True,
        samesite="Strict",
        path="/login",
    )
    return answer


def _right(given: str, password: Secret | None) -> bool:
    if password is None:
        return False
    one, other = (
        hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, password.reveal())
    )
    return hmac.compare_digest(one, other)


def _asker(settings: Settings) -> str:
    """Return whose failures are counted together.

    A browser that has been let in before counts alone, so that a stranger's guesses do not keep its owner
    out, also where all come through one proxy.
    """
    known = _browser(settings)
    return f"browser {known}" if known else f"address {request.remote_addr}"


def _browser(settings: Settings) -> str | None:
    try:
        found: str = _browsers(settings).loads(request.cookies.get(BROWSER, ""), max_age=_BROWSER_LASTS)
    except BadData:
        return None
    return found


def _browsers(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_key(settings), salt="browser")


def _key(settings: Settings) -> bytes:
    password = settings.console_password.reveal() if settings.console_password else ""
    token = settings.api_token.reveal().encode()
    return hmac.new(token, b"sitemedic console\0" + password.encode(), hashlib.sha256).digest()
