import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from exporter.web.quick import Answer, Asked, QuickRunner
from tests.exporter.loopback import run

PROBE = b"GET /at/probe?target=a%20b&module=m HTTP/1.1\r\nHost: x\r\n\r\n"


async def _told(query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    return 200, "text/plain", f"quick {dict(query)} {dict(headers)}".encode()


class Client:
    """One connection, on which answers are read by their length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes) -> str:
        self.writer.write(request)
        return await self.read()

    async def read(self) -> str:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await asyncio.wait_for(self.reader.readexactly(length), 30)
        return f"{head.split(b' ')[1].decode()} {body.decode()}"


@asynccontextmanager
async def connected(asked: Asked = _told) -> AsyncIterator[tuple[Client, QuickRunner]]:
    async def app_told(request: web.Request) -> web.Response:
        return web.Response(text=f"aiohttp {request.method} {await request.text()}")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", app_told)
    runner = QuickRunner(app, "/at/probe", asked, 20.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    try:
        yield Client(reader, writer), runner
    finally:
        writer.close()
        await runner.cleanup()


def asks(*requests: bytes) -> list[str]:
    async def test() -> list[str]:
        async with connected() as (client, _):
            return [await client.ask(request) for request in requests]

    return run(test())


def test_a_plain_probe_is_answered_without_the_framework():
    timed = PROBE.replace(b"Host: x", b"host: x\r\nX-Prometheus-Scrape-Timeout-Seconds:  7 ")
    assert asks(PROBE, timed) == [
        "200 quick {'target': 'a b', 'module': 'm'} {}",
        "200 quick {'target': 'a b', 'module': 'm'} {'X-Prometheus-Scrape-Timeout-Seconds': '7'}",
    ]


def test_a_connection_that_asks_for_something_else_is_served_whole_by_the_framework():
    other = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    assert asks(PROBE, other, PROBE) == [
        "200 quick {'target': 'a b', 'module': 'm'} {}",
        "200 aiohttp GET ",
        "200 aiohttp GET ",
    ]


@pytest.mark.parametrize(
    "request_",
    [
        PROBE.replace(b"GET", b"POST"),
        PROBE.replace(b"Host: x", b"Host: x\r\nContent-Length: 2") + b"ab",
        PROBE.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n",
        PROBE.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        PROBE.replace(b"/at/probe", b"/at/%70robe"),
        PROBE.replace(b"target=", b"site="),
        PROBE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PROBE.replace(b"Host: x", b"Host: x\r\nX-Long: " + b"y" * 3000),
    ],
    ids=["post", "body", "chunked", "close", "escaped", "site", "1.0", "long"],
)
def test_what_is_not_exactly_such_a_request_is_the_frameworks(request_: bytes):
    answer = asks(request_)[0]
    assert answer.startswith("200 aiohttp ")
    assert answer.endswith("ab") == (b"ab" in request_.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("named", [b"Accept: */*", b"Host: x\r\nHost: y"])
def test_a_request_without_one_host_is_refused_by_the_framework(named: bytes):
    assert asks(PROBE.replace(b"Host: x", named))[0].startswith("400 ")


def test_a_request_in_two_pieces_is_answered():
    async def test() -> str:
        async with connected() as (client, _):
            client.writer.write(PROBE[:20])
            await asyncio.sleep(0.1)
            return await client.ask(PROBE[20:])

    assert run(test()) == "200 aiohttp GET "


def _held(then: Callable[[], Awaitable[None]]) -> Asked:
    async def asked(query: Mapping[str, str], _: Mapping[str, str]) -> Answer:
        await then()
        return 200, "text/plain", query["target"].encode()

    return asked


def test_what_is_asked_while_a_probe_runs_is_answered_after_it():
    async def test() -> list[str]:
        going = asyncio.Event()

        async def wait() -> None:
            await asyncio.wait_for(going.wait(), 30)

        async with connected(_held(wait)) as (client, _):
            client.writer.write(PROBE)
            await asyncio.sleep(0.1)
            client.writer.write(PROBE.replace(b"a%20b", b"second"))
            await asyncio.sleep(0.1)
            going.set()
            return [await client.read(), await client.read()]

    assert run(test()) == ["200 a b", "200 second"]


def test_a_probe_that_breaks_is_a_500_and_the_next_one_is_answered():
    broken = [True]

    async def breaks_once() -> None:
        if broken.pop() if broken else False:
            raise RuntimeError("broken")

    async def test() -> list[str]:
        async with connected(_held(breaks_once)) as (client, _):
            return [await client.ask(PROBE), await client.ask(PROBE)]

    assert run(test()) == ["500 500 Internal Server Error\n", "200 a b"]


def test_the_end_waits_for_a_probe_that_runs_and_closes_what_is_idle():
    async def test() -> tuple[str, bytes, bytes]:
        begun = asyncio.Event()

        async def take_long() -> None:
            begun.set()
            await asyncio.sleep(0.3)

        async with connected(_held(take_long)) as (client, runner):
            idle, other = await asyncio.open_connection(*runner.addresses[0])
            client.writer.write(PROBE)
            await asyncio.wait_for(begun.wait(), 30)
            await runner.cleanup()
            answer = await client.read(), await asyncio.wait_for(client.reader.read(), 30)
            rest = await asyncio.wait_for(idle.read(), 30)
            other.close()
            return *answer, rest

    assert run(test()) == ("200 a b", b"", b"")
