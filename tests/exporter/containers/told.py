"""Containers, events and usage as a source would tell them, and a source that tells what a test says."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.servers.containers import ContainerChoice
from core.servers.server import Server
from exporter.containers.model import Container, Event, Machine, SourceError, State, Usage
from exporter.containers.plan import WatchedServer

MACHINE = Machine(cores=4, memory=8 * 2**30)
ALL = (ContainerChoice(name="*"),)


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test to its end."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


def container(name: str = "shop", **said: Any) -> Container:
    """Return one that runs since second 100, unless told otherwise."""
    usual = Container(f"id-of-{name}", name, "image:1", State.RUNNING, started_at=100.0)
    return replace(usual, **said)


def event(action: str, time: float, name: str = "shop", **said: Any) -> Event:
    """Return an event of one."""
    return replace(Event(time, action, f"id-of-{name}", name), **said)


def usage(time: float, cpu: float, **said: Any) -> Usage:
    """Return what one uses."""
    return replace(Usage(time, cpu), **said)


def watched(*choices: ContainerChoice, name: str = "web-1", **said: Any) -> WatchedServer:
    """Return a server of which these are watched; all of them where nothing is said."""
    return replace(WatchedServer(Server(name, local=True), choices or ALL, ()), **said)


@dataclass
class ToldSource:
    """An engine that says what the test wants it to say."""

    there: list[Container] = field(default_factory=lambda: [container()])
    uses: dict[str, Usage] = field(default_factory=dict)
    fails: SourceError | None = None
    """What every call ends with."""
    events_fail: SourceError | None = None
    held: asyncio.Event | None = None
    """What a list waits for before it answers, with what was there when it was asked."""
    lists: int = 0
    opened: int = 0
    closed: int = 0
    stream: "asyncio.Queue[Event | SourceError]" = field(default_factory=asyncio.Queue)

    async def containers(self) -> list[Container]:
        self.lists += 1
        found = list(self.there)
        if self.held is not None:
            await self.held.wait()
        self._check()
        return found

    async def machine(self) -> Machine:
        self._check()
        return MACHINE

    async def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        self._check()
        return {one: self.uses[one] for one in ids if one in self.uses}

    async def events(self) -> AsyncIterator[Event]:
        self._check()
        if self.events_fail is not None:
            raise self.events_fail
        self.opened += 1
        while True:
            told = await self.stream.get()
            if isinstance(told, SourceError):
                raise told
            yield told

    async def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails
