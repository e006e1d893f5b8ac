"""Watch the containers of one server: a list now and then, events in between, and what they use."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.logs import fields
from core.servers.server import Server
from exporter.containers.asking import Asking, Backoff
from exporter.containers.known import Known
from exporter.containers.model import Machine, Reason, Source, SourceError
from exporter.containers.plan import WatchedServer
from exporter.containers.state import ContainerState

_log = logging.getLogger(__name__)

MakeSource = Callable[[Server], Source]


@dataclass(frozen=True, slots=True)
class Timing:
    """How often an engine is asked, in seconds."""

    list_every: float = 30.0
    usage_every: float = 10.0
    usage_spacing: float = 3.0
    """At least this between two, where one has just been started."""
    details_after: float = 0.25
    """What a list waits after an event for those that come with it."""
    list_spacing: float = 1.0
    """At least this between two lists, however much happens."""
    call: float = 30.0
    """The longest that one call may take; a source has shorter limits of its own."""
    first_retry: float = 1.0
    longest_retry: float = 30.0


USUAL = Timing()


class ServerWatch:
    """One server's task. `turn` bounds how many servers are being connected to at once."""

    def __init__(
        self, watched: WatchedServer, make: MakeSource, turn: asyncio.Semaphore, timing: Timing
    ) -> None:
        self.watched = watched
        self.asking = Asking(watched.server.name)
        self.known = Known(watched)
        self.machine: Machine | None = None
        self._make, self._turn, self._timing = make, turn, timing
        self._news, self._unmeasured = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def name(self) -> str:
        """Return the server's name."""
        return self.watched.server.name

    def states(self) -> Iterable[ContainerState]:
        """Return what may be published: nothing once the engine has long been silent."""
        return self.known.states.values() if self.asking.speaks() else ()

    def follow(self, watched: WatchedServer) -> None:
        """Watch what a reload says, over the connection that there is."""
        self.watched = watched
        self.known.follow(watched)
        self._news.set()

    def cancel(self) -> asyncio.Task[None]:
        """Begin to end; return what to wait for."""
        self._task.cancel()
        return self._task

    async def _run(self) -> None:
        """Watch for ever; whatever fails is told, and tried again."""
        timing = self._timing
        backoff = Backoff(timing.first_retry, timing.longest_retry)
        while True:
            try:
                async with self._connected() as source:
                    await self._keep(source, backoff)
            except SourceError as error:
                self.asking.failed(error)
            except Exception as error:  # noqa: BLE001 - one server's fault must not end the watching of it
                _log.exception("watching containers broke", extra=fields(server=self.name))
                text = f"a fault of the exporter itself ({type(error).__name__}): its log says more"
                self.asking.failed(SourceError(text, Reason.GARBLED))
            self.known.drop_usage()
            await asyncio.sleep(backoff.next())

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Source]:
        """Make a source that has answered once, and close it."""
        source = self._make(self.watched.server)
        try:
            async with self._turn:
                await self._list(source)
                async with self._call("machine"):
                    self.machine = await source.machine()
            self._refresh_limits()
            yield source
        finally:
            await source.close()

    async def _keep(self, source: Source, backoff: Backoff) -> None:
        """List when there is news, and now and then; raise SourceError when the engine does not answer."""
        timing = self._timing
        helpers = [
            asyncio.create_task(self._follow_events(source)),
            asyncio.create_task(self._measure(source)),
        ]
        try:
            while True:
                began = time.monotonic()
                await _waited(self._news, timing.list_every * random.uniform(0.9, 1.1))
                await asyncio.sleep(timing.details_after)
                await asyncio.sleep(max(0.0, began + timing.list_spacing - time.monotonic()))
                await self._list(source)
                backoff.reset()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _list(self, source: Source) -> None:
        self._news.clear()
        began = time.monotonic()
        async with self._call("containers"):
            containers = await source.containers()
        self.asking.succeeded()
        if self.known.listed(containers, began):
            self._news.set()
        if self.known.unmeasured():
            self._unmeasured.set()

    async def _follow_events(self, source: Source) -> None:
        """Take up events; a stream that ends is opened again, and a list finds what it has missed."""
        backoff = Backoff(self._timing.first_retry, self._timing.longest_retry)
        while True:
            opened = time.monotonic()
            # What happened between the list and the moment from which the stream tells is in the next list.
            soon = asyncio.get_running_loop().call_later(self._timing.list_spacing, self._news.set)
            error = SourceError("the stream of events has ended", Reason.ENGINE_DOWN)
            try:
                self.asking.opened("events")
                async for event in source.events():
                    self.asking.lacks("events", None)
                    if self.known.happened(event):
                        self._news.set()
            except SourceError as said:
                error = said
            finally:
                soon.cancel()
            self._news.set()
            if time.monotonic() - opened > self._timing.longest_retry:
                backoff.reset()
            else:
                self.asking.lacks("events", error)
            await asyncio.sleep(backoff.next())

    async def _measure(self, source: Source) -> None:
        """Ask now and then what the wanted ones use."""
        every, spacing = self._timing.usage_every, self._timing.usage_spacing
        while True:
            self._unmeasured.clear()
            began = time.monotonic()
            ids = self.known.running()
            try:
                if ids:
                    async with self._call("usage"):
                        usage = await source.usage(list(ids))
                    self.known.used(usage)
                self.asking.lacks("usage", None)
            except SourceError as error:
                self.asking.lacks("usage", error)
                self._news.set()
            self.known.drop_old_usage(2.5 * every)
            await asyncio.sleep(max(0.0, began + spacing - time.monotonic()))
            await _waited(self._unmeasured, began + every - time.monotonic())

    @asynccontextmanager
    async def _call(self, name: str) -> AsyncIterator[None]:
        """Count a call, and end one that takes for ever."""
        try:
            with self.asking.call(name):
                async with asyncio.timeout(self._timing.call):
                    yield
        except TimeoutError as error:
            text = f"Docker on {self.name} did not answer within {self._timing.call:g} s: does it hang?"
            raise SourceError(text, Reason.TIMEOUT) from error

    def _refresh_limits(self) -> None:
        for state in self.known.states.values():
            state.lines = None


async def _waited(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
