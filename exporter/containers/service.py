"""All servers' containers: who is watched, and what is told of them to a scrape and as JSON."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from exporter.containers.families import CONTAINER, SERVER
from exporter.containers.lines import limits_of, ready_lines, server_lines
from exporter.containers.plan import WatchedServer
from exporter.containers.sources import source_of
from exporter.containers.state import ContainerState
from exporter.containers.watch import USUAL, MakeSource, ServerWatch, Timing

_AT_ONCE = 16
"""Servers that are being connected to at a time."""
_PIECE = 64 * 1024
"""Characters after which the loop is given back."""
_STEP = 5
"""Containers whose lines are rendered before it is."""


class Containers:
    """Watches the servers of a configuration, each by itself. Needs a running loop."""

    def __init__(self, make: MakeSource = source_of, timing: Timing = USUAL) -> None:
        self._make, self._timing = make, timing
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._ending: set[asyncio.Task[None]] = set()
        self.watches: dict[str, ServerWatch] = {}

    def apply(self, servers: Sequence[WatchedServer]) -> None:
        """Watch exactly these servers: one that is reached as before keeps its connection and its state."""
        before, self.watches = self.watches, {}
        for watched in servers:
            watch = before.get(watched.server.name)
            if watch is not None and _reached_alike(watch.watched, watched):
                del before[watch.name]
                if watch.watched != watched:
                    watch.follow(watched)
            else:
                watch = ServerWatch(watched, self._make, self._turn, self._timing)
            self.watches[watch.name] = watch
        for watch in before.values():
            self._end(watch)

    async def stop(self) -> None:
        """End every watch and close its connection."""
        for watch in self.watches.values():
            self._end(watch)
        self.watches = {}
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, watch: ServerWatch) -> None:
        task = watch.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the exposition, family by family, giving the loop back after each piece."""
        watches = list(self.watches.values())
        if not watches:
            return
        blocks = []
        for watch in watches:
            for state in list(watch.states()):
                blocks.append(ready_lines(state, watch.machine))
                if len(blocks) % _STEP == 0:
                    await asyncio.sleep(0)
        async for piece in _joined([family.header for family in CONTAINER], blocks):
            yield piece
        servers = [server_lines(watch) for watch in watches]
        async for piece in _joined([family.header for family in SERVER], servers):
            yield piece

    def answer(self) -> str:
        """Return what is known as JSON; times in unix seconds."""
        watches = self.watches.values()
        servers = {watch.name: _server_answer(watch) for watch in watches}
        containers = [_container_answer(state, watch) for watch, state in self.states()]
        return json.dumps({"servers": servers, "containers": containers})

    def states(self) -> Iterable[tuple[ServerWatch, ContainerState]]:
        """Yield every container that may be shown, with its server."""
        for watch in self.watches.values():
            for state in sorted(watch.states(), key=lambda state: state.wanted.name):
                yield watch, state


def _reached_alike(one: WatchedServer, other: WatchedServer) -> bool:
    ways = [(server.ssh, server.local, server.docker_api) for server in (one.server, other.server)]
    return ways[0] == ways[1]


async def _joined(headers: Sequence[str], blocks: Sequence[tuple[str, ...]]) -> AsyncIterator[bytes]:
    buffer: list[str] = []
    size = 0
    for index, header in enumerate(headers):
        text = "".join([block[index] for block in blocks])
        if not text:
            continue
        buffer += (header, text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(buffer).encode()
            buffer.clear()
            size = 0
            await asyncio.sleep(0)
    yield "".join(buffer).encode()


def _server_answer(watch: ServerWatch) -> dict[str, Any]:
    asking = watch.asking
    return {
        "up": asking.up,
        "reason": asking.reason.value if asking.reason else None,
        "message": asking.message,
        "last_success": _rounded(asking.last_success),
    }


def _container_answer(state: ContainerState, watch: ServerWatch) -> dict[str, Any]:
    told, usage = state.told, state.usage
    limit = limits_of(told, watch.machine)[1]
    return {
        "server": state.server,
        "name": state.wanted.name,
        "image": told.image if told is not None else None,
        "state": state.state.value,
        "health": state.health.value if state.health else None,
        "up": state.up,
        "since": _rounded(told.started_at if state.up and told is not None else state.down_since),
        "exit_code": state.exit_code,
        "oom_killed": state.oom_killed,
        "restarts": state.starts.count,
        "cpu": _rounded(state.cpu),
        "memory": usage.memory_working_set if usage is not None else None,
        "memory_limit": limit,
        "sites": list(state.wanted.sites),
    }


def _rounded(value: float | None) -> float | None:
    return round(value, 3) if value is not None else None
