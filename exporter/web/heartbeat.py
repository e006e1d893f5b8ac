"""`/heartbeat/TOKEN`: a job says that it succeeded, failed or begins. The token is the authentication."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from exporter.heartbeats.book import CallError, Heartbeats, Said

NAME = "heartbeat"
"""The route's name, by which it is let through without a password."""

LONGEST_NOTE = 200
"""Characters of what a job says of itself."""

_LONGEST_WAIT = 1.0
"""Seconds that a body may take; what comes later is not read."""
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SUCCEEDED, _LARGEST_STATUS = 0, 255


class HeartbeatHandlers:
    """What the addresses of jobs answer; `changed` is told the site that a call was for."""

    def __init__(self, heartbeats: Heartbeats, changed: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        self._heartbeats = heartbeats
        self._changed = changed

    def add_to(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Serve `/heartbeat/TOKEN`, and below it `start`, `fail` and an exit status."""
        router.add_resource(f"{prefix}/heartbeat/{{token}}", name=NAME).add_route("*", self.call)
        below = router.add_resource(f"{prefix}/heartbeat/{{token}}/{{said}}", name=f"{NAME}-said")
        below.add_route("*", self.call)

    async def call(self, request: web.Request) -> web.Response:
        """Take one call."""
        if request.method not in ("GET", "POST"):
            # A HEAD is a mail's or a chat's look at a link.
            return _answer(405, "GET or POST", Allow="GET, POST")
        try:
            said, status = _said(request.match_info.get("said", ""), request.query.get("status"))
            note = await _note(request) if said is Said.FAILURE else ""
            site = await self._heartbeats.call(request.match_info["token"], said, status, note)
        except CallError as error:
            return _answer(error.status, str(error))
        await self._changed(site)
        return _answer(200, "OK")


def passes(request: web.Request) -> bool:
    """Say whether a request is a job's call."""
    return request.match_info.route.name in (NAME, f"{NAME}-said")


def _said(word: str, status: str | None) -> tuple[Said, int | None]:
    """Read what a call says. Raises CallError."""
    if word == "start" and status is None:
        return Said.START, None
    if word == "fail" and status is None:
        return Said.FAILURE, None
    if word and status is not None and word != "fail":
        raise CallError(400, "say it once: /start, /fail, or an exit status")
    number = status if status is not None else word
    if not number:
        return Said.SUCCESS, None
    if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) <= _LARGEST_STATUS):
        raise CallError(400, "the exit status is a number from 0 to 255; the words are start and fail")
    if int(number) == _SUCCEEDED and word != "fail":
        return Said.SUCCESS, None
    return Said.FAILURE, int(number)


async def _note(request: web.Request) -> str:
    """Return the beginning of what the job says of its failure, on one line."""
    text = request.query.get("note", "")
    if not text and request.can_read_body:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_LONGEST_WAIT):
                piece = await request.content.read(4 * LONGEST_NOTE)
                text = piece.decode(errors="replace")
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= LONGEST_NOTE else f"{line[: LONGEST_NOTE - 1]}…"


def _answer(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_HEADERS, **headers})
