"""The book of heartbeats: who called when, by which token, and what follows from it for each site.

CallError       a call that is not taken; `status` is the HTTP status to say so
"""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from core.allowance import Allowance
from core.files import unwritable
from core.logs import fields
from exporter.health import Health
from exporter.heartbeats.file import HeartbeatFile
from exporter.heartbeats.heartbeat import LOST_WITHIN, Heard, judge
from exporter.heartbeats.kept import as_plain, restored
from exporter.probers.heartbeat import HEARTBEAT, HeartbeatFacts
from exporter.result import Result
from exporter.state import Moment
from exporter.watched import Heartbeat, WatchedSite

_log = logging.getLogger(__name__)

BURST, INTERVAL = 20, 1.0
"""Calls of one job that are taken at once, and seconds after which one more is."""

KEPT_EVERY = 15.0
"""Seconds between two writings of the time at which the exporter still listened."""


class Said(Enum):
    """What a call says."""

    SUCCESS = "success"
    START = "start"
    FAILURE = "failure"


class CallError(Exception):
    """A call that is not taken; `status` is the HTTP status to say so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Caller(NamedTuple):
    site: str
    token: bytes
    heartbeat: str
    allowance: Allowance


class Heartbeats:
    """What is known of the jobs of a configuration; bound to the running loop."""

    def __init__(self, file: HeartbeatFile, health: Health) -> None:
        self._file = file
        self._health = health
        self._plans: dict[str, Heartbeat] = {}
        self._heard: dict[str, Heard] = {}
        """By the heartbeat's name."""
        self._callers: dict[bytes, _Caller] = {}
        """By the token's digest."""
        self._was_read = False
        self._listened = time.monotonic()
        """When the exporter was last seen to listen."""
        self._lock = asyncio.Lock()
        self._changes = self._written = 0
        self._failing = False

    def tokens(self, sites: Iterable[WatchedSite]) -> Mapping[str, str]:
        """Return the token of each heartbeat site by the site's name. Raises ConfigError."""
        return {site.name: self._file.token(site.heartbeat) for site in sites if site.heartbeat is not None}

    def follow(self, sites: Iterable[WatchedSite]) -> None:
        """Listen for the jobs of `sites`; what is known of those that stay is kept. Raises ConfigError."""
        mine = {site.name: site.heartbeat for site in sites if site.heartbeat is not None}
        callers, before = {}, {caller.site: caller.allowance for caller in self._callers.values()}
        for site, heartbeat in mine.items():
            token = self._file.token(heartbeat).encode()
            allowance = before.get(site) or Allowance(BURST, INTERVAL)
            callers[_digest(token)] = _Caller(site, token, heartbeat.name, allowance)
        self._callers = callers
        self._plans = {heartbeat.name: heartbeat for heartbeat in mine.values()}
        now = _now()
        if self._plans and not self._was_read:
            self._heard, self._was_read = self._read(now), True
        self._notice(now)
        self._heard = {name: self._heard.get(name) or Heard(now) for name in self._plans}

    async def call(self, token: str, said: Said, status: int | None = None, note: str = "") -> str:
        """Take a call and return its site's name, once what it says is kept. Raises CallError."""
        caller = self._caller(token.encode())
        now = _now()
        if not caller.allowance.takes(now.monotonic):
            self._health.heartbeat_calls.labels("too_many").inc()
            raise CallError(429, "called too often")
        self._notice(now)
        heard = self._heard[caller.heartbeat]
        if said is Said.START:
            heard.start(now)
        elif said is Said.SUCCESS:
            heard.success(now)
        else:
            heard.failure(now, status, note)
        self._health.heartbeat_calls.labels("taken").inc()
        await self._keep()
        return caller.site

    def look(self, site: WatchedSite) -> Result:
        """Return what is so of a heartbeat site now."""
        plan, now = site.heartbeat, _now()
        assert plan is not None
        self._notice(now)
        # A site that has just left the file, and is looked at once more, was not heard of.
        heard = self._heard.get(plan.name) or Heard(now)
        found = judge(heard, plan, now)
        due = now.wall + heard.due(plan) - now.monotonic
        succeeded = heard.succeeded.corrected(now.wall, now.monotonic) if heard.succeeded else None
        return Result(
            success=found is None,
            reason=found[0] if found else None,
            detail=found[1] if found else "",
            time=now.wall,
            duration=time.monotonic() - now.monotonic,
            prober=HEARTBEAT.name,
            facts=HeartbeatFacts(succeeded.wall if succeeded else None, round(due, 3), heard.took),
        )

    async def listen(self) -> None:
        """Note again and again that calls are heard; runs until it is cancelled."""
        while True:
            await asyncio.sleep(KEPT_EVERY)
            self._notice(_now())
            if self._plans:
                await self._keep()

    async def close(self) -> None:
        """Keep what is known, and until when calls were heard."""
        if self._plans:
            await self._keep()

    def _caller(self, token: bytes) -> _Caller:
        caller = self._callers.get(_digest(token))
        if caller is None or not hmac.compare_digest(caller.token, token):
            self._health.heartbeat_calls.labels("unknown").inc()
            raise CallError(404, "no such heartbeat")
        return caller

    def _notice(self, now: Moment) -> None:
        """Forgive the jobs what came of a halt of the whole process."""
        if now.monotonic - self._listened > KEPT_EVERY + LOST_WITHIN:
            self._forgive(self._heard, self._listened, now.monotonic)
        self._listened = now.monotonic

    def _forgive(self, heard: Mapping[str, Heard], gone: float, back: float) -> None:
        for name, one in heard.items():
            if name in self._plans:
                one.forgive(self._plans[name], gone, back)

    def _read(self, now: Moment) -> dict[str, Heard]:
        """Return what an exporter before this one knew, its absence forgiven."""
        is_new = self._file.is_new
        try:
            book = self._file.read()
            listened, heard = restored(book, now) if book is not None else (now, {})
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            self._health.heartbeat_file_errors.inc()
            _log.warning("heartbeats cannot be read; their time begins anew", extra=fields(reason=error))
            return {}
        if book is None and not is_new:
            _log.warning("what was heard of heartbeats is lost; their time begins anew")
        self._forgive(heard, listened.monotonic, now.monotonic)
        return heard

    async def _keep(self) -> None:
        """Have all that is known now written; who comes meanwhile shares the next writing."""
        self._changes += 1
        mine = self._changes
        async with self._lock:
            if self._written >= mine:
                return
            changes, book = self._changes, self._book()
            try:
                await asyncio.to_thread(self._file.write, book)
            except OSError as error:
                self._cannot_write(error)
            else:
                if self._failing:
                    self._failing = False
                    _log.info("heartbeats are kept again", extra=fields(file=self._file.path))
            self._written = changes

    def _book(self) -> dict[str, Any]:
        return as_plain(_now(), self._heard)

    def _cannot_write(self, error: OSError) -> None:
        self._health.heartbeat_file_errors.inc()
        if not self._failing:
            self._failing = True
            _log.warning(
                "heartbeats cannot be kept; a restart would forget them",
                extra=fields(file=self._file.path, reason=unwritable(error, self._file.path)),
            )


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
