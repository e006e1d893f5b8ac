"""A connection that a prober speaks on itself, plain or with TLS begun at any time.

For protocols that libcurl does not speak. Each wait ends at the probe's deadline; what goes wrong on the
connection is raised as StreamError, with its reason.

StreamError        the connection failed; `reason` says how
"""

import asyncio
import errno
import ssl
import time
from collections.abc import Awaitable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from exporter.probers.tls import TLSConfig
from exporter.probers.tls_context import context_of, facts_of
from exporter.reason import Reason
from exporter.resolve import Address
from exporter.result import TLSFacts

T = TypeVar("T")
_LIMIT = 64 * 1024 - 1
"""Bytes of a line at most, as blackbox_exporter has it: a peer that sends no end of line is cut off."""
_LINES_AT_ONCE = 50
"""Lines after which the loop is given back, whatever a peer pours out."""
_FULL_QUEUE_AGAIN = 0.05
"""Seconds between two tries to get into the full queue of a socket of this machine."""
_NO_ROUTE_HERE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}


class StreamError(Exception):
    """The connection failed; `reason` says how, the message is for people."""

    def __init__(self, reason: Reason, detail: str, *, from_here: bool = True) -> None:
        """Say also whether this machine could have got there; else another address may do."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.from_here = from_here


class Stream:
    """One connection; a context manager that closes it."""

    def __init__(self, deadline: float) -> None:
        """Make one that is not connected yet; `deadline` is `time.monotonic()`'s."""
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._lines = 0
        self._transport: asyncio.Transport | None = None
        self._writers: list[asyncio.StreamWriter] = []  # one that is forgotten closes its connection
        self._renew()

    def _renew(self) -> None:
        """Begin to read anew, without what had come before."""
        self._reader = asyncio.StreamReader(limit=_LIMIT)
        self._protocol = asyncio.StreamReaderProtocol(self._reader)

    @classmethod
    async def open(cls, address: Address, port: int, deadline: float, source: str = "") -> Self:
        """Connect to an address, from `source` where given."""
        stream = cls(deadline)
        local = (source, 0) if source else None
        opening = stream._loop.create_connection(
            lambda: stream._protocol, address.text, port, local_addr=local
        )
        await stream._connect(opening)
        return stream

    @classmethod
    async def open_first(
        cls, addresses: Sequence[Address], port: int, deadline: float, source: str = ""
    ) -> tuple[Self, Address]:
        """Connect to the first address that can be reached from this machine, and say which."""
        *others, last = addresses
        for address in others:
            try:
                return await cls.open(address, port, deadline, source), address
            except StreamError as error:
                own = address.text == "::1" or address.text.startswith("127.")
                if error.from_here and not (own and error.reason is Reason.REFUSED):
                    raise
        return await cls.open(last, port, deadline, source), last

    @classmethod
    async def open_unix(cls, path: str, deadline: float) -> Self:
        """Connect to a socket of this machine."""
        stream = cls(deadline)
        while True:
            opening = stream._loop.create_unix_connection(lambda: stream._protocol, path)
            try:
                await stream._connect(opening)
            except StreamError as error:
                # Its queue is full: other than over TCP, nobody waits in the system.
                if not isinstance(error.__cause__, BlockingIOError):
                    raise
                await _within(deadline, asyncio.sleep(_FULL_QUEUE_AGAIN), "connecting")
            else:
                return stream

    async def _connect(self, opening: Coroutine[Any, Any, tuple[asyncio.Transport, Any]]) -> None:
        transport, _ = await _within(self._deadline, opening, "connecting")
        self._speak_on(transport)

    def _speak_on(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._writer = asyncio.StreamWriter(transport, self._protocol, self._reader, self._loop)
        self._writers.append(self._writer)

    async def start_tls(self, config: TLSConfig, name: str) -> TLSFacts:
        """Agree on TLS with the peer, whose certificate must be `name`'s; return what was agreed.

        What the peer had sent before is dropped: nobody vouches for it.
        """
        assert self._transport is not None
        plain = self._transport
        self._renew()
        starting = self._loop.start_tls(
            plain,
            self._protocol,
            context_of(config),
            server_hostname=(config.server_name or name).partition("%")[0],
            ssl_handshake_timeout=max(0.001, self._deadline - time.monotonic()) + 1,  # ours comes first
        )
        secure = await _within(self._deadline, starting, "agreeing on TLS")
        assert secure is not None
        self._protocol.connection_made(secure)
        self._speak_on(secure)
        return facts_of(secure.get_extra_info("ssl_object"), config)

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await _within(self._deadline, self._writer.drain(), "sending")

    async def line(self) -> bytes | None:
        """Return the next line without its end, None where the peer has closed.

        Lines are those of Go's bufio.Scanner: what comes before the end of the connection is one too.
        """
        self._lines += 1
        if self._lines % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)  # lines that are there already are no wait: others would have none
            if time.monotonic() > self._deadline:
                raise StreamError(Reason.TIMEOUT, "no answer in time among many lines")
        try:
            found = await _within(self._deadline, self._reader.readline(), "waiting for a line")
        except ValueError as error:
            raise StreamError(Reason.PROTOCOL, f"a line of more than {_LIMIT} bytes came") from error
        return found.removesuffix(b"\n").removesuffix(b"\r") if found else None

    async def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        return await _within(self._deadline, self._reader.readexactly(count), "waiting for an answer")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _within(deadline: float, waiting: Awaitable[T], what: str) -> T:
    """Wait until the deadline at most; every failure of the connection becomes a StreamError."""
    try:
        async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
            return await waiting
    except TimeoutError as error:
        raise StreamError(Reason.TIMEOUT, f"no answer in time while {what}") from error
    except ssl.CertificateError as error:
        raise StreamError(Reason.CERTIFICATE, error.verify_message or str(error)) from error
    except ssl.SSLEOFError as error:
        raise StreamError(Reason.RESET, f"the connection was closed while {what}") from error
    except ssl.SSLError as error:
        raise StreamError(Reason.TLS, f"TLS was not agreed upon ({_plain(error)})") from error
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise _closed(error, what) from error
    except OSError as error:
        raise _unconnected(error) from error


def _plain(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")


def _closed(error: Exception, what: str) -> StreamError:
    if isinstance(error, ConnectionRefusedError):
        return StreamError(Reason.REFUSED, "the connection was refused")
    return StreamError(Reason.RESET, f"the connection was closed while {what}")


def _unconnected(error: OSError) -> StreamError:
    if isinstance(error, FileNotFoundError):
        return StreamError(Reason.REFUSED, "there is no such socket")
    if isinstance(error, PermissionError):
        return StreamError(Reason.ERROR, "the exporter may not connect to it (permission denied)")
    if error.errno in (errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return StreamError(Reason.TIMEOUT, "no way to its machine (host unreachable)")
    if error.errno in _NO_ROUTE_HERE:
        return StreamError(Reason.ERROR, "this machine has no route to that address", from_here=False)
    return StreamError(Reason.ERROR, f"could not connect ({error.strerror or error})")
