"""The machine's control: what breaks, mends and powers it, over HTTP with a token."""

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from core.secrets import Secret
from core.web import bearer_matches
from demo import docker_cli
from demo.machine import Machine, MachineError, Power

log = logging.getLogger(__name__)


class BadOrderError(Exception):
    """The body is not what the endpoint takes."""


def make_app(machine: Machine) -> web.Application:
    """Serve POST /break, /mend, /power, /docker and GET /state (Bearer token), and GET /-/healthy."""
    app = web.Application(middlewares=[_authenticated(Secret(machine.token)), _plain_errors])
    control = _Control(machine)
    app.router.add_get("/-/healthy", control.healthy)
    app.router.add_get("/state", control.state)
    app.router.add_post("/break", control.break_)
    app.router.add_post("/mend", control.mend)
    app.router.add_post("/power", control.power)
    app.router.add_post("/docker", control.docker)
    return app


class _Control:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._machine.state())

    async def break_(self, request: web.Request) -> web.Response:
        order = await _body(request)
        seconds = order.get("seconds")
        if seconds is not None and (not isinstance(seconds, int | float) or seconds <= 0):
            raise BadOrderError("seconds must be a number above 0")
        await self._machine.break_(str(order.get("kind")), seconds)
        return web.json_response(self._machine.state())

    async def mend(self, _request: web.Request) -> web.Response:
        await self._machine.mend()
        return web.json_response(self._machine.state())

    async def power(self, request: web.Request) -> web.Response:
        actions = {
            "reboot": self._machine.reboot,
            "boot": self._machine.boot,
            "shutdown": self._machine.shutdown,
        }
        action = (await _body(request)).get("action")
        if action not in actions:
            raise BadOrderError(f"action must be one of {', '.join(actions)} (got {action!r})")
        await actions[action]()
        return web.json_response(self._machine.state())

    async def docker(self, request: web.Request) -> web.Response:
        argv = (await _body(request)).get("argv")
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            raise BadOrderError("argv must be a list of strings")
        if self._machine.power is not Power.RUNNING:
            raise web.HTTPServiceUnavailable(text="the machine is off")
        answer = await docker_cli.run(argv, self._machine.container)
        body = {"exit_status": answer.exit_status, "stdout": answer.stdout, "stderr": answer.stderr}
        return web.json_response(body)


async def _body(request: web.Request) -> Mapping[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise BadOrderError("the body must be JSON") from error
    if not isinstance(body, dict):
        raise BadOrderError("the body must be a JSON object")
    return body


def _authenticated(token: Secret) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        public = request.path == "/-/healthy"
        if not public and not bearer_matches(request.headers.get("Authorization"), token):
            return web.json_response({"error": "a Bearer token is needed"}, status=401)
        return await handler(request)

    return check


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadOrderError as error:
        return web.json_response({"error": str(error)}, status=400)
    except (MachineError, TimeoutError) as error:
        return web.json_response({"error": str(error) or "timed out"}, status=409)
