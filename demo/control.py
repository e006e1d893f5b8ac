"""The machine's control: what breaks, mends and powers it, over HTTP with a token."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from core.secrets import Secret
from core.web.bearer import bearer_matches
from demo import docker_cli, wrapper
from demo.docker_cli import Answer
from demo.machine import Machine, MachineError, Power

_LOOK_EVERY = 0.5  # seconds between two looks whether somebody still listens
log = logging.getLogger(__name__)


class BadOrderError(Exception):
    """The body is not what the endpoint takes."""


def make_app(machine: Machine) -> web.Application:
    """Serve what breaks, mends and powers it, and its two commands (Bearer token); and GET /-/healthy."""
    app = web.Application(middlewares=[_authenticated(Secret(machine.token)), _plain_errors])
    control = _Control(machine)
    app.router.add_get("/-/healthy", control.healthy)
    app.router.add_get("/state", control.state)
    app.router.add_post("/break", control.break_)
    app.router.add_post("/mend", control.mend)
    app.router.add_post("/power", control.power)
    app.router.add_post("/docker", control.docker)
    app.router.add_post("/sitemedic-wrapper", control.wrapper)
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

    async def docker(self, request: web.Request) -> web.StreamResponse:
        argv = await self._command(request)
        return await _answered(request, await docker_cli.run(argv, self._machine.container))

    async def wrapper(self, request: web.Request) -> web.StreamResponse:
        argv = await self._command(request)
        if list(argv) == [wrapper.EVENTS]:
            return await self._events(request)
        return await _answered(request, wrapper.run(argv, self._machine.container))

    async def _command(self, request: web.Request) -> Sequence[str]:
        argv = (await _body(request)).get("argv")
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            raise BadOrderError("argv must be a list of strings")
        if self._machine.power is not Power.RUNNING:
            raise web.HTTPServiceUnavailable(text="the machine is off")
        return argv

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Tell what happens from now on, until whoever asked hangs up."""
        response = web.StreamResponse()
        listener: asyncio.Queue[str] = asyncio.Queue()
        listeners = self._machine.container.listeners
        listeners.add(listener)
        try:
            await response.prepare(request)
            await _told(response, stdout=wrapper.HEAD)
            while request.transport is not None and not request.transport.is_closing():
                with suppress(TimeoutError):
                    line = await asyncio.wait_for(listener.get(), _LOOK_EVERY)
                    await _told(response, stdout=f"{line}\n")
        except ConnectionError:
            pass
        finally:
            listeners.discard(listener)
        return response


async def _answered(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send an answer as the `docker` command of the server reads it: one JSON object a line."""
    response = web.StreamResponse()
    await response.prepare(request)
    await _told(response, stdout=answer.stdout, stderr=answer.stderr, exit_status=answer.exit_status)
    return response


async def _told(response: web.StreamResponse, **words: Any) -> None:
    await response.write(json.dumps(words).encode() + b"\n")


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
