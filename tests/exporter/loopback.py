"""Loopback servers that answer as they are told, and probes of them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from exporter.module import Module
from exporter.probe import Probers
from exporter.result import Result

T = TypeVar("T")
Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run one asynchronous test on the loop that the exporter uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(test)


def answer(status: str = "200 OK", body: bytes = b"hello", *headers: str) -> bytes:
    """Write a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(reply: bytes, seen: list[bytes] | None = None) -> Handler:
    """Answer every request with `reply`, and note the requests in `seen`."""

    async def handle(request: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen is not None:
            seen.append(request)
        writer.write(reply)
        await writer.drain()

    return handle


def by_path(replies: dict[str, bytes], seen: list[bytes] | None = None) -> Handler:
    """Answer by the request's path."""

    async def handle(request: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen is not None:
            seen.append(request)
        writer.write(replies[request.split()[1].decode()])
        await writer.drain()

    return handle


@asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None = None, reads: bool = True
) -> AsyncIterator[int]:
    """Listen on 127.0.0.1 while the block runs; without `reads` the handler gets no request's head."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n") if reads else b""
            await handler(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=2048)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def eventually(predicate: Callable[[], bool], seconds: float = 5) -> None:
    """Let the loop run until `predicate` holds; fail after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not predicate():
        assert asyncio.get_running_loop().time() < deadline, "it never came to hold"
        await asyncio.sleep(0.005)


def open_files() -> int:
    """Count what this process has open: files, sockets and all else that has a descriptor."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def http_module(**options: Any) -> Module:
    """Make a module of the http prober."""
    return Module.model_validate({"prober": "http", "http": options})


def tcp_module(**options: Any) -> Module:
    """Make a module of the tcp prober."""
    return Module.model_validate({"prober": "tcp", "tcp": options})


async def probed(target: str, module: Module | None = None, seconds: float = 5, **named: Any) -> Result:
    """Probe `target` once with probers of its own."""
    async with Probers.start() as probers:
        return await probers.probe(target, module or http_module(), seconds, **named)


def probe_answer(reply: bytes, seen: list[bytes] | None = None, **options: Any) -> Result:
    """Probe a server that always answers `reply`."""

    async def test() -> Result:
        async with serving(always(reply, seen)) as port:
            return await probed(f"http://127.0.0.1:{port}/", http_module(**options))

    return run(test())
