"""TLS before a server that speaks none: one thread shakes hands and relays bytes, whoever is silent or slow.

How long a request may take is the server's own affair: when it closes its end, the client's is closed too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.logs import fields
from core.web.live import FORBIDDEN, LiveWebConfig

log = logging.getLogger(__name__)
CHUNK = 65536
_REFUSED = FORBIDDEN.encode()
_FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_REFUSED), _REFUSED)
)
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Limits:
    """What clients get; times in seconds."""

    handshake: float = 10.0
    """Also for the first request of who is refused, and for the end of TLS."""
    stall: float = 30.0
    """How long a client may take no byte of an answer."""
    waiting: int = 128
    """Handshakes, and clients that wait for a place: when there are more, the one that waits longest goes."""
    places: int = 200
    """Clients that are served at once."""


class TLSRelay:
    """Takes clients in at `listening` and hands each one over as a socket without TLS, with its address."""

    def __init__(
        self,
        listening: socket.socket,
        web: LiveWebConfig,
        hand_over: Callable[[socket.socket, tuple[Any, ...]], None],
        limits: Limits = Limits(),
    ) -> None:
        self._listening = listening
        self._web = web
        self._hand_over = hand_over
        self._limits = limits
        self._places = asyncio.Semaphore(limits.places)
        self._waiting: dict[asyncio.Task[None], None] = {}
        """Who has no place yet, the longest first."""
        self._served: set[asyncio.Task[None]] = set()
        self._stuck = False
        self._stop: Callable[[], object] = lambda: None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tls", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()
        self._running.wait()

    def stop(self, patience: float = 5.0) -> None:
        """Close every connection, and the port."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._stop()
        self._thread.join(patience)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._take_clients())

    async def _take_clients(self) -> None:
        loop, taking = asyncio.get_running_loop(), asyncio.current_task()
        assert taking is not None
        self._stop = lambda: loop.call_soon_threadsafe(taking.cancel)
        self._running.set()
        self._listening.setblocking(False)
        try:
            while True:
                await self._take_one(loop)
        finally:
            self._listening.close()
            left = [*self._waiting, *self._served]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _take_one(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            connection, address = await loop.sock_accept(self._listening)
        except OSError as error:  # no descriptor is left, or the client is gone already
            if not self._stuck:
                log.warning("connections cannot be taken", extra=fields(why=error.strerror or str(error)))
            self._stuck = True
            await asyncio.sleep(0.1)
            return
        self._stuck = False
        task = loop.create_task(self._serve(connection, address))
        task.add_done_callback(self._forget)
        self._waiting[task] = None
        if len(self._waiting) > self._limits.waiting:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.cancel()
        await asyncio.sleep(0)  # a task that never began would leave its connection open

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._waiting.pop(task, None)
        self._served.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a TLS connection ended by a fault of ours", extra=fields(fault=type(error).__name__))

    async def _serve(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        """Serve one client to its end, whatever that is."""
        this = asyncio.current_task()
        assert this is not None
        try:
            reader, writer = await self._shake_hands(connection)
        except OSError as error:  # TLS's own faults are some too
            log.debug("no TLS with a client", extra=fields(address=address[0], why=_why(error)))
            return
        try:
            async with self._places:
                self._waiting.pop(this, None)
                self._served.add(this)
                if self._web.rules.knows(writer.get_extra_info("peercert")):
                    await self._relay((reader, writer), address)
                else:
                    await self._refuse(reader, writer)
                await _end(writer, self._limits.handshake)
        except OSError:  # the client, or the server behind, is gone
            log.debug("a TLS connection broke", extra=fields(address=address[0]))
        finally:
            writer.transport.abort()

    async def _shake_hands(self, connection: socket.socket) -> _Streams:
        loop, most = asyncio.get_running_loop(), self._limits.handshake
        reader = asyncio.StreamReader(CHUNK, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._web.tls,
                ssl_handshake_timeout=most,
                ssl_shutdown_timeout=most,
            )
        except BaseException:
            connection.close()
            raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _relay(self, client: _Streams, address: tuple[Any, ...]) -> None:
        """Carry bytes both ways until either side has ended."""
        server, handed = socket.socketpair()
        with server:
            server.setblocking(False)
            self._hand_over(handed, address)
            there = asyncio.ensure_future(_to_server(client[0], server))
            back = asyncio.ensure_future(_to_client(server, client[1], self._limits.stall))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                if there.done() and there.exception() is not None:
                    await back  # the server takes no more, but may have answered, such as 413
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(self._limits.handshake):
            await reader.read(CHUNK)
            writer.write(_FORBIDDEN)
            await writer.drain()


async def _to_server(client: asyncio.StreamReader, server: socket.socket) -> None:
    """Carry until the client has ended. Raises OSError where it is the server that takes no more."""
    loop = asyncio.get_running_loop()
    while piece := await _piece_of(client):
        await loop.sock_sendall(server, piece)


async def _piece_of(client: asyncio.StreamReader) -> bytes:
    try:
        return await client.read(CHUNK)
    except OSError:  # it hung up without TLS's end
        return b""


async def _to_client(server: socket.socket, client: asyncio.StreamWriter, stall: float) -> None:
    loop = asyncio.get_running_loop()
    while piece := await loop.sock_recv(server, CHUNK):
        client.write(piece)
        async with asyncio.timeout(stall):
            await client.drain()


async def _end(writer: asyncio.StreamWriter, within: float) -> None:
    """Send what is left, then TLS's own end."""
    writer.close()
    async with asyncio.timeout(within):
        await writer.wait_closed()


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    return str(reason or error.strerror or type(error).__name__)
