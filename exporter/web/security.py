"""Who may ask the exporter: `--web.config.file`, read again when it or a certificate changed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from core.web.live import FORBIDDEN, LiveWebConfig
from core.web.tls import LiveContext
from exporter.health import Health
from exporter.web.heartbeat import passes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Security:
    """What a web-config.yml asks for; without a file, nothing. Raises ConfigError."""

    def __init__(self, path: Path | None, health: Health) -> None:
        self._web = LiveWebConfig(path)
        self._health = health
        self._one_at_a_time = asyncio.Lock()
        health.web_config_read(successful=True)

    @property
    def tls(self) -> LiveContext | None:
        """Return what the sockets speak."""
        return self._web.tls

    async def follow_files(self, poll_every: float) -> None:
        """Read the file again whenever it or a file that it names changed; runs until it is cancelled."""
        while self._web:
            await asyncio.sleep(poll_every)
            await asyncio.to_thread(self._web.look)
            self._health.web_config_read(successful=self._web.successful)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer 429, 403 or 401."""
        rules = self._web.rules
        if not rules.allowance.takes(time.monotonic()):
            return web.Response(status=429, text="Too Many Requests\n")
        if not self._knows_certificate(request):
            return web.Response(status=403, text=FORBIDDEN)
        wants_password = rules.users and not passes(request)
        if wants_password and not await self._is_user(request.headers.get("Authorization")):
            return web.Response(status=401, text="Unauthorized\n", headers={"WWW-Authenticate": "Basic"})
        return await handler(request)

    async def add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Put the file's headers on an answer."""
        response.headers.update(self._web.rules.headers())

    async def _is_user(self, header: str | None) -> bool:
        users = self._web.rules.users
        known = users.remembered(header)
        if known is not None:
            return known
        # One thread at most, whatever is asked: the others are for names and files.
        async with self._one_at_a_time:
            return await asyncio.to_thread(users.check, header)

    def _knows_certificate(self, request: web.Request) -> bool:
        if self.tls is None:
            return True
        shown = request.transport.get_extra_info("peercert") if request.transport else None
        return self._web.rules.knows(shown)
