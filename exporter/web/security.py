"""Who may ask the exporter: `--web.config.file`, read again when it or a certificate changed."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from core.faults import ConfigError
from core.files_watch import FileWatcher
from core.logs import fields
from core.web_config import RateLimit, WebConfig, read_web_config
from core.web_tls import LiveContext, server_context
from core.web_users import Users
from exporter.health import Health
from exporter.web.heartbeat import passes

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Security:
    """What a web-config.yml asks for; without a file, nothing. Raises ConfigError."""

    def __init__(self, path: Path | None, health: Health) -> None:
        self._path = path
        self._health = health
        self._config = read_web_config(path) if path else WebConfig()
        self._users = Users(self._config.basic_auth_users)
        self._bucket = _Bucket(self._config.rate_limit)
        self._one_at_a_time = asyncio.Lock()
        tls = self._config.tls_server_config
        self.tls: LiveContext | None = None
        """For the sockets; its certificates change while it serves."""
        if path and tls.enabled:
            self.tls = LiveContext.around(server_context(tls, path.name))
        self._refused = ""
        """What was wrong with the file when it was last read."""
        self._watcher = FileWatcher(self._files())
        health.web_config_read(successful=True)

    async def follow_files(self, poll_every: float) -> None:
        """Read the file again whenever it or a file that it names changed; runs until it is cancelled."""
        while self._path:
            await asyncio.sleep(poll_every)
            # A refused file may wait for one that nobody watches yet, such as a certificate it names.
            if await asyncio.to_thread(self._watcher.changed) or self._refused:
                await self.reload()

    async def reload(self) -> None:
        """Take up what the file says now; where it cannot be used, all stays as it was."""
        if self._path is None:
            return
        try:
            config, context = await asyncio.to_thread(_read, self._path)
        except ConfigError as error:
            self._refuse(error)
            return
        self._take_up(config, context)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer 429, 403 or 401."""
        if not self._bucket.takes(time.monotonic()):
            return web.Response(status=429, text="Too Many Requests\n")
        if not self._knows_certificate(request):
            return web.Response(status=403, text="Forbidden: client_allowed_sans lacks your certificate\n")
        wants_password = self._users and not passes(request)
        if wants_password and not await self._is_user(request.headers.get("Authorization")):
            return web.Response(status=401, text="Unauthorized\n", headers={"WWW-Authenticate": "Basic"})
        return await handler(request)

    async def add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Put the file's headers on an answer."""
        for name, value in self._config.http_server_config.headers.items():
            if value:
                response.headers[name] = value

    async def _is_user(self, header: str | None) -> bool:
        known = self._users.remembered(header)
        if known is not None:
            return known
        # One thread at most, whatever is asked: the others are for names and files.
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._users.check, header)

    def _knows_certificate(self, request: web.Request) -> bool:
        allowed = self._config.tls_server_config.client_allowed_sans
        if not allowed or self.tls is None:
            return True
        shown = request.transport.get_extra_info("peercert") if request.transport else None
        names = {str(name[1]) for name in (shown or {}).get("subjectAltName", ())}
        return not names.isdisjoint(allowed)

    def _refuse(self, error: ConfigError) -> None:
        self._health.web_config_read(successful=False)
        if str(error) != self._refused:
            _log.warning(
                "web configuration refused; the old one holds",
                extra=fields(file=self._path, faults=len(error.faults), first=str(error.faults[0])),
            )
        self._refused = str(error)

    def _take_up(self, config: WebConfig, context: ssl.SSLContext | None) -> None:
        if (context is None) != (self.tls is None):
            _log.warning("TLS is turned on or off by a restart only", extra=fields(file=self._path))
        elif self.tls is not None and context is not None:
            self.tls.current = context
        self._users = Users(config.basic_auth_users, self._users)
        if config.rate_limit != self._config.rate_limit:
            self._bucket = _Bucket(config.rate_limit)
        self._config, self._refused = config, ""
        self._watcher.watch(self._files())
        self._health.web_config_read(successful=True)
        _log.info("web configuration taken up", extra=fields(file=self._path))

    def _files(self) -> list[Path]:
        return [self._path, *self._config.tls_server_config.files] if self._path else []


class _Bucket:
    """Lets `burst` requests through at once and then one every interval."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._full_at = 0.0
        """When the bucket is full again, on the monotonic clock."""

    def takes(self, now: float) -> bool:
        interval, burst = self._limit.interval, self._limit.burst
        if not interval:
            return True
        full_at = max(self._full_at, now) + interval
        if full_at - now > interval * burst:
            return False
        self._full_at = full_at
        return True


def _read(path: Path) -> tuple[WebConfig, ssl.SSLContext | None]:
    config = read_web_config(path)
    tls = config.tls_server_config
    return config, server_context(tls, path.name) if tls.enabled else None
