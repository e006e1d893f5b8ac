import asyncio
import socket
import struct

import pytest

from exporter.reason import Kind, Reason
from exporter.result import Result
from tests.exporter.loopback import Handler, probe_answer, probed, run, serving
from tests.ports import free_port

STARTED = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


async def _hang(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


async def _hang_in_body(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STARTED)
    await reader.read()


async def _drip(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STARTED)
    while True:
        await asyncio.sleep(0.02)
        writer.write(b"x" if not writer.is_closing() else b"")
        if writer.is_closing():
            return


def _reset(first: bytes) -> Handler:
    async def handle(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first:
            writer.write(first)
            await writer.drain()
            await asyncio.sleep(0.02)
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return handle


async def _close(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def probe_handler(handler: Handler, seconds: float = 5, reads: bool = True) -> Result:
    async def test() -> Result:
        async with serving(handler, reads=reads) as port:
            return await probed(f"http://127.0.0.1:{port}/", seconds=seconds)

    return run(test())


def test_nobody_listening_is_refused():
    result = run(probed(f"http://127.0.0.1:{free_port()}/"))
    assert result.reason is Reason.REFUSED
    assert result.reason.kind is Kind.DOES_NOT_ANSWER
    assert result.status_code is None
    assert result.ip_protocol == 4


@pytest.mark.parametrize(
    ("handler", "detail"),
    [
        (_hang, "connected, but no answer in time"),
        (_hang_in_body, "answered 200, but the answer did not end in time"),
        (_drip, "answered 200, but the answer did not end in time"),
    ],
)
def test_a_server_that_hangs_is_a_timeout_that_says_where(handler: Handler, detail: str):
    result = probe_handler(handler, seconds=0.3)
    assert result.reason is Reason.TIMEOUT
    assert result.detail == detail
    assert 0.28 < result.duration < 0.8


def test_a_full_listen_queue_is_a_timeout_without_a_connection():
    async def test() -> Result:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            where = listener.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(where)
            try:
                return await probed(f"http://127.0.0.1:{where[1]}/", seconds=0.3)
            finally:
                for filler in fillers:
                    filler.close()

    result = run(test())
    assert result.reason is Reason.TIMEOUT
    assert "in time" in result.detail


@pytest.mark.parametrize("first", [b"", STARTED])
def test_a_reset_connection_is_a_reset(first: bytes):
    result = probe_handler(_reset(first))
    assert result.reason is Reason.RESET
    assert result.reason.kind is Kind.DOES_NOT_ANSWER
    assert result.status_code == (200 if first else None)


@pytest.mark.parametrize("reads", [True, False])
def test_a_connection_closed_without_an_answer_is_a_reset(reads: bool):
    assert probe_handler(_close, reads=reads).reason is Reason.RESET


def test_a_body_cut_short_is_a_reset():
    result = probe_answer(STARTED)
    assert result.reason is Reason.RESET
    assert "mid-answer" in result.detail
    assert result.status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03garbage\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 400_000 + b"\r\n\r\n",
    ],
)
def test_garbage_is_an_answer_in_no_protocol(garbage: bytes):
    result = probe_answer(garbage)
    assert result.reason is Reason.PROTOCOL, result
    assert result.reason.kind is Kind.ANSWERS_WRONGLY


@pytest.mark.parametrize("announced", [100, 103])
def test_announcements_of_an_answer_are_no_answer(announced: int):
    async def announce(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {announced} Soon\r\n\r\n".encode())
        await reader.read()

    async def test() -> Result:
        async with serving(announce) as port:
            return await probed(f"http://127.0.0.1:{port}/", seconds=0.3)

    result = run(test())
    assert (result.reason, result.status_code) == (Reason.TIMEOUT, None)
    assert result.detail == "connected, but no answer in time"


def test_what_a_site_sends_makes_no_detail_long():
    result = probe_answer(
        b"HTTP/1.1 302 Found\r\nLocation: ftp://a/" + b"a" * 50_000 + b"\r\nContent-Length: 0\r\n\r\n"
    )
    assert result.reason is Reason.STATUS
    assert len(result.detail) == 300


def test_a_name_that_does_not_exist_is_a_humans_matter():
    result = run(probed("http://no-such-host.invalid/"))
    assert result.reason is Reason.DNS
    assert result.reason.kind is Kind.FOR_A_HUMAN
    assert result.ip_protocol == 0
    assert result.ip_addr_hash == 0
    assert "no-such-host.invalid" in result.detail
