"""Ask a source as the exporter does: events followed in the background, conditions waited for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from exporter.containers.model import Container, Event, Source, SourceError

T = TypeVar("T")


class Followed:
    """A stream of events, and the error that it ended with."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: SourceError | None = None

    def actions(self, name: str) -> list[str]:
        return [event.action for event in self.events if event.name == name]

    async def heard(self) -> bool:
        """Say whether there was an event."""
        return bool(self.events)

    async def ended(self) -> bool:
        """Say whether the stream ended with an error."""
        return self.error is not None

    async def follow(self, source: Source) -> None:
        try:
            async for event in source.events():
                self.events.append(event)
        except SourceError as error:
            self.error = error


@asynccontextmanager
async def following(source: Source) -> AsyncIterator[Followed]:
    found = Followed()
    task = asyncio.create_task(found.follow(source))
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(ask: Callable[[], Awaitable[T]], what: str, seconds: float = 30) -> T:
    """Await `ask` until its answer is true; a SourceError is an answer that is not."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = answer = await ask()
        except SourceError as error:
            last = error
        else:
            if answer:
                return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}; last: {last!r}"
        await asyncio.sleep(0.1)


async def one(source: Source, name: str) -> Container | None:
    """Return a container by its name."""
    return next((found for found in await source.containers() if found.name == name), None)
