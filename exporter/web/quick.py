"""Probes on demand, asked for as Prometheus does, without a web framework around them.

A connection begins here. What is plainly `GET …/probe?target=…` without a body is answered; at the first
request that is anything else the whole connection is handed over to aiohttp, for good. So nothing of HTTP is
decided here: what is not of exactly one shape is somebody else's.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE
from yarl import URL

from exporter.on_demand import TIMEOUT_HEADER

_log = logging.getLogger(__name__)

Answer = tuple[int, str, bytes]
"""Status, content type and body."""
Asked = Callable[[Mapping[str, str], Mapping[str, str]], Awaitable[Answer]]
"""Answers a query with its headers; only those that a probe looks at."""

_REQUEST = re.compile(
    rb"GET ([!-\"$-~]+) HTTP/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~]*\r\n)+)\r\n",
)
_LONGEST = 2048
"""Bytes of a request that is answered here."""
_TIMEOUT = TIMEOUT_HEADER.lower()
_NOT_PLAIN = {"connection", "content-length", "expect", "transfer-encoding", "upgrade"}
_UNREAD = 1 << 20
"""Bytes of answers that nobody takes, after which the connection is closed."""
IDLE_FOR = 3600.0
"""Seconds after which a connection on which nothing is asked is closed, as aiohttp does."""


class QuickRunner(web.AppRunner):
    """Serves an application, and probes at `path` without it."""

    __slots__ = ("_connections", "_quick", "_sweep")

    def __init__(self, app: web.Application, path: str, asked: Asked, shutdown_timeout: float) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=shutdown_timeout)
        self._connections: set[_Connection] = set()
        self._quick = (path, asked)
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def server(self) -> web.Server | None:
        """Return what makes a protocol for each connection."""
        return cast(web.Server, self._connection) if self._server is not None else None

    async def setup(self) -> None:
        """Make ready to serve."""
        await super().setup()
        self._close_idle()

    async def cleanup(self) -> None:
        """End what is being answered within the shutdown timeout, and free all."""
        if self._sweep is not None:
            self._sweep.cancel()
        for site in list(self.sites):
            await site.stop()
        running = [task for one in list(self._connections) if (task := one.finish()) is not None]
        if running:
            await asyncio.wait(running, timeout=self._shutdown_timeout)
        for one in list(self._connections):
            one.abort()
        await super().cleanup()

    def _connection(self) -> "_Connection":
        assert self._server is not None
        return _Connection(*self._quick, self._server, self._connections)

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for one in list(self._connections):
            one.close_if_idle_since(loop.time() - IDLE_FOR)
        self._sweep = loop.call_later(IDLE_FOR / 4, self._close_idle)


class _Connection(asyncio.Protocol):
    """One connection, as long as nothing but probes is asked on it."""

    __slots__ = (
        "_asked", "_busy", "_ending", "_handler", "_later", "_loop", "_open", "_path", "_since", "_to",
    )  # fmt: skip

    def __init__(
        self, path: str, asked: Asked, handler: Callable[[], Any], connections: set["_Connection"]
    ) -> None:
        self._path = path
        self._asked = asked
        self._handler = handler
        """Makes aiohttp's protocol, for all else."""
        self._open = connections
        self._loop = asyncio.get_running_loop()
        self._to: asyncio.Transport | None = None
        self._busy: asyncio.Task[None] | None = None
        self._later = b""
        """What came before the answer to the request before it."""
        self._since = self._loop.time()
        self._ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._to = cast(asyncio.Transport, transport)  # uvloop's own, which is no subclass
        self._to.set_write_buffer_limits(high=_UNREAD)
        self._open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._open.discard(self)
        self._to = None

    def pause_writing(self) -> None:
        self.abort()

    def data_received(self, data: bytes) -> None:
        assert self._to is not None
        if self._busy is not None:
            self._later += data
            self._to.pause_reading()
            return
        request = _REQUEST.fullmatch(data) if len(data) <= _LONGEST else None
        query = _query(request[1], self._path) if request else None
        headers = _headers(request[2]) if request else None
        if query is None or headers is None:
            self._hand_over(data)
        else:
            self._busy = self._loop.create_task(self._answer(query, headers))

    def finish(self) -> asyncio.Task[None] | None:
        """Close once what is being answered is; returns what does that."""
        self._ending = True
        if self._busy is None and self._to is not None:
            self._to.close()
        return self._busy

    def abort(self) -> None:
        """Hang up."""
        if self._busy is not None:
            self._busy.cancel()
        if self._to is not None:
            self._to.abort()

    def close_if_idle_since(self, moment: float) -> None:
        """Close where nothing was asked since `moment`, on the loop's clock."""
        if self._busy is None and self._since < moment and self._to is not None:
            self._to.close()

    def _hand_over(self, data: bytes) -> None:
        assert self._to is not None
        transport, self._to = self._to, None
        self._open.discard(self)
        transport.set_write_buffer_limits()
        protocol = self._handler()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    async def _answer(self, query: Mapping[str, str], headers: Mapping[str, str]) -> None:
        try:
            status, kind, body = await self._asked(query, headers)
        except Exception:  # noqa: BLE001 - whatever it was, who asked is told
            _log.exception("a probe on demand broke")
            status, kind, body = 500, "text/plain; charset=utf-8", b"500 Internal Server Error\n"
        self._busy = None
        if self._to is None:
            return
        self._to.write(_head(status, kind, int(time.time())) % len(body) + body)
        self._since = self._loop.time()
        if self._ending:
            self._to.close()
        elif self._later:
            later, self._later = self._later, b""
            self._to.resume_reading()
            self.data_received(later)


@lru_cache(maxsize=16_384)
def _query(path: bytes, wanted: str) -> Mapping[str, str] | None:
    """Return the query of a probe of a target at `wanted`, read as aiohttp reads it; None for all else."""
    at, _, query = path.decode("ascii").partition("?")
    if at != wanted:
        return None
    found = URL.build(path=at, query_string=query, encoded=True).query
    return found if "site" not in found else None


@lru_cache(maxsize=256)
def _headers(lines: bytes) -> Mapping[str, str] | None:
    """Return what a probe looks at; None where there is anything that changes the request or its answer."""
    found: dict[str, str] = {}
    hosts = 0
    for line in lines.decode("ascii").splitlines():
        name, _, value = line.partition(":")
        lower, value = name.lower(), value.strip(" \t")
        if lower in _NOT_PLAIN and (lower, value.lower()) != ("connection", "keep-alive"):
            return None
        hosts += lower == "host"
        if lower == _TIMEOUT:
            found.setdefault(TIMEOUT_HEADER, value)
    return found if hosts == 1 else None


@lru_cache(maxsize=16)
def _head(status: int, kind: str, now: int) -> bytes:
    """Return an answer's head, its length still to come; `now` is unix seconds."""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nContent-Length: %d\r\n"
        f"Date: {formatdate(now, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
    ).encode()
