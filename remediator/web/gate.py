"""What a web-config.yml asks of every request: a password, not too many at once; and its headers on answers.

One `Authorization` header holds one thing. Who shows the right token of the webhook or of the API there
passes without a password, and is not counted: a flood of strangers keeps no notification out.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time

from flask import Flask, Response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized

from core.logs import fields
from core.web.bearer import bearer_matches
from core.web.live import WebRules
from core.web.users import Users
from remediator.service import Remediator, Settings
from remediator.web.access import for_programs
from remediator.web.throttle import Throttle

log = logging.getLogger(__name__)
WEBHOOK = "webhook.alertmanager"
PROBES = frozenset({"operations.healthy", "operations.ready"})
WATCHED = PROBES | {"operations.metrics"}
"""What Sitemedic's own services ask; they may show the webhook's token, which can do the least."""
MOST_CHECKED = 3
"""Requests that may wait for bcrypt; each keeps one of the server's threads."""
CHALLENGE = WWWAuthenticate("basic", {"realm": "Sitemedic", "charset": "UTF-8"})


def register(app: Flask, remediator: Remediator) -> None:
    """Stand before everything else; to be registered first."""
    gate = _Gate(remediator)

    @app.before_request
    def ask() -> None:
        gate.ask(request.headers.get("Authorization"))

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in remediator.settings.web.rules.headers().items():
            response.headers.setdefault(name, value)  # what the console needs for itself stays
        return response


class _Gate:
    """Lets requests through, or raises Unauthorized or TooManyRequests."""

    def __init__(self, remediator: Remediator) -> None:
        self._settings = remediator.settings
        self._count = remediator.metrics.sign_ins.labels
        self._throttle = Throttle()
        self._one_at_a_time = threading.Lock()
        self._free = threading.Semaphore(MOST_CHECKED)

    def ask(self, header: str | None) -> None:
        if not self._settings.web or _shows_token(self._settings, header) or _probes():
            return
        rules = self._settings.web.rules
        self._take(rules)
        # The webhook asks for its token itself, and counts who has none.
        if not rules.users or request.endpoint == WEBHOOK or rules.users.remembered(header):
            return
        if header is None or not header.lower().startswith("basic "):
            raise Unauthorized(
                "needs a user and a password, or Authorization: Bearer with the right token",
                www_authenticate=CHALLENGE,
            )
        self._check(rules.users, header)

    def _take(self, rules: WebRules) -> None:
        with self._one_at_a_time:
            taken = rules.allowance.takes(time.monotonic())
        if not taken:
            raise TooManyRequests("too many requests: rate_limit of --web.config.file")

    def _check(self, users: Users, header: str) -> None:
        """Ask bcrypt, at most a few at once, and not for who guesses."""
        asker = str(request.remote_addr)
        if wait := self._throttle.try_now(asker):
            self._count("too_many").inc()
            raise TooManyRequests("too many wrong passwords from here", retry_after=int(wait) + 1)
        if not self._free.acquire(blocking=False):
            self._throttle.forgive(asker)
            self._count("too_many").inc()
            raise TooManyRequests("too many passwords are being checked: try again", retry_after=1)
        try:
            right = users.check(header)
        finally:
            self._free.release()
        if not right:
            self._count("wrong").inc()
            log.warning("wrong user or password", extra=fields(address=asker))
            raise Unauthorized("that is no user with this password", www_authenticate=CHALLENGE)
        self._throttle.forgive(asker)


def _probes() -> bool:
    """Say whether this machine asks whether we live: `up`, and Docker in our container."""
    if request.endpoint not in PROBES:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _shows_token(settings: Settings, header: str | None) -> bool:
    if request.endpoint == WEBHOOK:
        return bearer_matches(header, settings.webhook_token)
    if request.endpoint in WATCHED and bearer_matches(header, settings.webhook_token):
        return True
    return for_programs(request.path) and bearer_matches(header, settings.api_token)
