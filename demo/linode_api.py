"""A fake Linode API with a memory: Linode's shapes, statuses and errors, and faults on order.

Below /v4 it is the API (Bearer token with scopes); below /control (a token of its own) it is told to have
faults: POST /control/fault {"kind": …, "on": "reboot"|"boot"|"all", "times": 1, "seconds": 30, "accept":
false}, DELETE /control/fault, POST /control/event, POST /control/status {"linode": 101, "status": "offline"},
GET /control/state.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from core.logs import fields
from core.secrets import Secret
from core.web.bearer import bearer_matches
from demo.linode_control import Control, RefusedError
from demo.linode_faults import Faults, error_answer, faulty_answer
from demo.linode_filter import USUAL_PAGE, BadRequestError, page, select
from demo.linode_state import Account, BusyError, Power, UnknownLinodeError

log = logging.getLogger(__name__)

SCOPES = frozenset({"linodes:read_write", "events:read_only"})
_EVENT_FILTERS = frozenset({"id", "action", "created", "entity.id", "entity.type", "seen"})
_INSTANCE_FILTERS = frozenset({"id", "label", "region", "tags", "group"})
_POWER_SECONDS = 20.0


def create_app(
    account: Account,
    tokens: Mapping[str, frozenset[str]],
    control_token: Secret | None = None,
    faults: Faults | None = None,
) -> Flask:
    """Return the API for one account; `tokens` are the Bearer tokens with their scopes.

    Without a control token the control answers anybody: for loopback and tests.
    """
    app = Flask(__name__)
    api = _Api(account, tokens, faults or Faults())
    control = Control(account, api.faults, control_token)
    rules: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("GET", "/v4/linode/instances", api.instances),
        ("GET", "/v4/linode/instances/<int:linode_id>", api.instance),
        ("POST", "/v4/linode/instances/<int:linode_id>/reboot", api.reboot),
        ("POST", "/v4/linode/instances/<int:linode_id>/boot", api.boot),
        ("POST", "/v4/linode/instances/<int:linode_id>/shutdown", api.shutdown),
        ("GET", "/v4/account/events", api.events),
        ("GET", "/v4/account/events/<int:event_id>", api.event),
        ("GET", "/v4/profile", api.profile),
        ("GET", "/control/state", control.state),
        ("POST", "/control/fault", control.fault),
        ("DELETE", "/control/fault", control.no_fault),
        ("POST", "/control/event", control.event),
        ("POST", "/control/status", control.status),
        ("GET", "/-/healthy", lambda: Response("ok\n", mimetype="text/plain")),
    )
    for method, rule, view in rules:
        app.add_url_rule(rule, endpoint=f"{method} {rule}", view_func=view, methods=[method])
    _map_errors(app)
    app.after_request(_tell_scopes)
    return app


def _tell_scopes(response: Response) -> Response:
    """Say what the token may do, as the API does."""
    if scopes := g.get("scopes"):
        response.headers["X-OAuth-Scopes"] = " ".join(sorted(scopes))
    return response


def _map_errors(app: Flask) -> None:
    app.register_error_handler(RefusedError, lambda error: error_answer(error.status, error.reason))
    app.register_error_handler(BadRequestError, lambda error: error_answer(400, error.reason, error.field))
    app.register_error_handler(UnknownLinodeError, lambda _: error_answer(404, "Not found"))
    app.register_error_handler(BusyError, lambda _: error_answer(400, "Linode busy."))
    app.register_error_handler(HTTPException, lambda error: error_answer(error.code or 500, error.name))


class _Api:
    def __init__(self, account: Account, tokens: Mapping[str, frozenset[str]], faults: Faults) -> None:
        self._account = account
        self._tokens = tokens
        self.faults = faults

    def instances(self) -> Response:
        self._enter("linodes", "read_only")
        return self._page(self._account.instances(), _INSTANCE_FILTERS)

    def instance(self, linode_id: int) -> Response:
        self._enter("linodes", "read_only")
        return jsonify(self._account.instance(linode_id))

    def events(self) -> Response:
        self._enter("events", "read_only")
        return self._page(self._account.events(), _EVENT_FILTERS)

    def event(self, event_id: int) -> Response:
        self._enter("events", "read_only")
        for event in self._account.events():
            if event["id"] == event_id:
                return jsonify(event)
        raise RefusedError(404, "Not found")

    def profile(self) -> Response:
        self._enter()
        return jsonify(
            {
                "username": self._account.username,
                "email": "medic@example.com",
                "timezone": "UTC",
                "restricted": False,
                "two_factor_auth": True,
                "uid": 1234,
                "authorized_keys": None,
            }
        )

    def boot(self, linode_id: int) -> Response:
        return self._power(linode_id, "boot")

    def reboot(self, linode_id: int) -> Response:
        return self._power(linode_id, "reboot")

    def shutdown(self, linode_id: int) -> Response:
        self._enter("linodes", "read_write")
        self._account.job(linode_id, "linode_shutdown")
        return jsonify({})

    def _power(self, linode_id: int, word: str) -> Response:
        """Take a reboot or a boot, unless a fault is on order for it."""
        self.faults.count()
        fault = self.faults.next(word)
        if fault is None or fault.accept:
            self._authorize("linodes", "read_write")
            kind = fault.kind if fault is not None else ""
            self._account.job(linode_id, f"linode_{word}", fails=kind == "fail", silent=kind == "no_event")
            self.faults.count(accepted=True)
        return faulty_answer(fault) or jsonify({})

    def _page(self, rows: list[dict[str, Any]], filterable: frozenset[str]) -> Response:
        chosen = select(rows, request.headers.get("X-Filter"), filterable)
        number = request.args.get("page", "1")
        return jsonify(page(chosen, number, request.args.get("page_size", str(USUAL_PAGE))))

    def _enter(self, area: str = "", right: str = "") -> None:
        """Let a call in that has the right, unless a fault is on order for all calls."""
        answer = faulty_answer(self.faults.next("any"))
        if answer is not None:
            raise HTTPException(response=answer)
        self._authorize(area, right)

    def _authorize(self, area: str, right: str) -> None:
        header = request.headers.get("Authorization")
        scopes = next(
            (kept for token, kept in self._tokens.items() if bearer_matches(header, Secret(token))), None
        )
        if scopes is None:
            raise RefusedError(401, "Invalid Token")
        g.scopes = scopes
        enough = {f"{area}:{right}", f"{area}:read_write", "*"}
        if area and not scopes & enough:
            raise RefusedError(403, "Your OAuth token is not authorized to use this endpoint.")


def machine_power(url: str, token: Secret | None) -> Power:
    """Return what presses the power button of the demo's machine by its control."""

    def press(_linode_id: int, action: str) -> None:
        headers = {"Authorization": f"Bearer {token.reveal()}"} if token is not None else {}
        answer = requests.post(
            f"{url.rstrip('/')}/power", json={"action": action}, headers=headers, timeout=_POWER_SECONDS
        )
        answer.raise_for_status()

    return press


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        log.debug(
            "request", extra=fields(method=self.command, path=self.path.split("?")[0], status=str(code))
        )


def make_api_server(app: Flask, host: str, port: int) -> BaseWSGIServer:
    """Return the server, listening: a thread a call, so that a hanging one hinders nobody.

    Werkzeug's own, since it hands out the socket, which a dropped connection needs.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server(
        (host, port), family=family
    ) as listening:  # werkzeug would exit when it is taken
        server = make_server(host, port, app, True, request_handler=_Quiet, fd=listening.fileno())
    server.daemon_threads = True  # type: ignore[attr-defined]
    return server


def serve(app: Flask, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; raises OSError when the port is taken."""
    server = make_api_server(app, host, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    log.info("linode api is up", extra=fields(port=port))
    try:
        server.serve_forever()
    finally:
        server.server_close()
