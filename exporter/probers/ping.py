"""Echo requests and their replies: sockets, packets, and what the network says in place of a reply.

A socket a probe, so that its source, TTL and errors are its own. Linux gives ping sockets to the groups of
net.ipv4.ping_group_range; a raw socket needs CAP_NET_RAW and sees every reply on the machine, so a filter
in the kernel leaves it only its own.

PingError          no reply; `reason` says why
"""

import asyncio
import ctypes
import errno
import itertools
import os
import socket
import struct
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from exporter.reason import Reason
from exporter.resolve import Address

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_HEADER = struct.Struct("!BBHHH")
_ERROR = struct.Struct("=IBBBBII")
_SO_ATTACH_FILTER, _SO_TIMESTAMPNS, _MSG_ERRQUEUE = 26, 35, 0x2000
_IP_RECVERR, _IPV6_RECVERR, _IP_RECVTTL = 11, 25, 12
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3
_LARGEST = 65_535
_FROM_ICMP = (2, 3)
"""The origins of an error that came as a packet: ICMP and ICMPv6."""
_EXCEEDED = {4: 11, 6: 3}
_PROHIBITED: dict[int, dict[int, tuple[int, ...]]] = {4: {3: (2, 3, 9, 10, 13)}, 6: {1: (1, 4, 5, 6)}}
"""Types and codes by which a machine or a router says that it does not want this."""
_HELP = (
    "this process may not send pings: allow its group with sysctl net.ipv4.ping_group_range, "
    "or give it the capability CAP_NET_RAW"
)
_NUMBERS = itertools.count(int.from_bytes(os.urandom(2), "big"))


class PingError(Exception):
    """No reply; `reason` says why, the message is for people."""

    def __init__(self, reason: Reason, detail: str, number: int = 0) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.number = number
        """The system's number of the error, 0 where there is none."""


class Pong(NamedTuple):
    """What came back."""

    seconds: float
    hop_limit: int | None
    """TTL or hop limit of the reply, as it arrived."""


class Ping:
    """One echo request to one address; a context manager that closes its socket."""

    def __init__(self, address: Address, payload: bytes, source: str = "") -> None:
        """Open a socket. Raises PingError where none is allowed, or `source` is not ours."""
        self._protocol = address.protocol
        self._address = address.text
        number = next(_NUMBERS)
        self._id, self._sequence, self._payload = number & 0xFFFF, number >> 16 & 0xFFFF, payload
        self._sent = 0
        self._socket, self.raw = _open(self._protocol)
        try:
            self._prepare(source)
        except OSError as error:
            self._socket.close()
            raise _unsent(error) from error

    def set_hop_limit(self, hops: int) -> None:
        """Let the request pass so many routers."""
        level, option = (
            (socket.IPPROTO_IP, socket.IP_TTL) if self._protocol == 4
            else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        )  # fmt: skip
        self._socket.setsockopt(level, option, hops)

    def forbid_fragments(self) -> None:
        """Set IPv4's bit that forbids routers to take the packet apart; in IPv6 none ever may."""
        if self._protocol == 4:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)

    async def reply(self, deadline: float) -> Pong:
        """Send the request and wait for its reply until `deadline`. Raises PingError."""
        loop, began = asyncio.get_running_loop(), time.monotonic()
        answered: asyncio.Future[Pong] = loop.create_future()
        self._listen(answered, began)
        try:
            self._sent = time.time_ns()
            self._socket.send(self._packet())
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                return await answered
        except TimeoutError as error:
            raise PingError(Reason.TIMEOUT, "no reply in time") from error
        except OSError as error:
            raise _unsent(error) from error
        finally:
            loop.remove_reader(self._socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _prepare(self, source: str) -> None:
        ping = self._socket
        ping.setblocking(False)
        ping.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if self._protocol == 4:
            ping.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            ping.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        else:
            ping.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            ping.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        if self.raw:
            _attach_filter(ping, self._protocol, self._id)
        if source:
            ping.bind(_place(source))
        ping.connect(_place(self._address))
        if not self.raw:  # the kernel has chosen the number by which it knows whose a reply is
            self._id = ping.getsockname()[1]

    def _packet(self) -> bytes:
        bare = _HEADER.pack(_REQUEST[self._protocol], 0, 0, self._id, self._sequence)
        # The kernel reckons the checksum of ping sockets and of all of ICMPv6.
        total = _checksum(bare + self._payload) if self._protocol == 4 else 0
        return _HEADER.pack(_REQUEST[self._protocol], 0, total, self._id, self._sequence) + self._payload

    def _listen(self, answered: asyncio.Future[Pong], began: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.add_reader(self._socket, self._read, answered, began)

    def _read(self, answered: asyncio.Future[Pong], began: float) -> None:
        """Take what has come; what is not ours is left out."""
        try:
            while not answered.done():
                data, ancillary, _, _ = self._socket.recvmsg(_LARGEST, 256)
                if self._is_ours(data):
                    seconds = _seconds(ancillary, self._sent, time.monotonic() - began)
                    answered.set_result(Pong(seconds, _hop_limit(ancillary)))
        except OSError as error:
            others = self._read_errors(answered)
            if not (answered.done() or others or self.raw or isinstance(error, BlockingIOError)):
                answered.set_exception(_unsent(error))
            if not answered.done():
                self._listen(answered, began)  # uvloop lets go of a socket that had an error

    def _is_ours(self, data: bytes) -> bool:
        if self.raw and self._protocol == 4 and data:
            data = data[(data[0] & 15) * 4 :]
        if len(data) < _HEADER.size:
            return False
        kind, _, _, number, sequence = _HEADER.unpack_from(data)
        wanted = (_REPLY[self._protocol], self._id, self._sequence)
        return (kind, number, sequence) == wanted and data[_HEADER.size :] == self._payload

    def _read_errors(self, answered: asyncio.Future[Pong]) -> bool:
        """Take what routers and the machine say in place of a reply; others' is left out, and told of."""
        others = False
        while not answered.done():
            try:
                request, ancillary, *_ = self._socket.recvmsg(_LARGEST, 512, _MSG_ERRQUEUE)
            except OSError:
                break
            if len(request) >= _HEADER.size and _HEADER.unpack_from(request)[3:] != (
                self._id,
                self._sequence,
            ):
                others = True
                continue
            for level, _, data in ancillary:
                if level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(data) >= _ERROR.size + 2:
                    answered.set_exception(_refusal(self._protocol, data))
                    break
        return others


def _open(protocol: int) -> tuple[socket.socket, bool]:
    """Open a ping socket, or a raw one; say whether it is raw. Raises PingError."""
    family = socket.AF_INET if protocol == 4 else socket.AF_INET6
    number = socket.IPPROTO_ICMP if protocol == 4 else socket.IPPROTO_ICMPV6
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(family, kind, number), kind == socket.SOCK_RAW
        except PermissionError:
            continue
        except OSError as error:
            raise _unsent(error) from error
    raise PingError(Reason.ERROR, _HELP)


def _place(text: str) -> tuple[Any, ...]:
    found = socket.getaddrinfo(text, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    return found[0][4]


def _attach_filter(ping: socket.socket, protocol: int, number: int) -> None:
    """Let the kernel hand over only echo replies with our number (classic BPF)."""
    # An IPv4 packet begins with its IP header, of a length that the header tells: X holds it.
    byte, half, first = (0x50, 0x48, ((0xB1, 0, 0, 0),)) if protocol == 4 else (0x30, 0x28, ())
    program = (
        *first,
        (byte, 0, 0, 0), (0x15, 0, 3, _REPLY[protocol]),
        (half, 0, 0, 4), (0x15, 0, 1, number),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    )  # fmt: skip
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    kept = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(program), ctypes.addressof(kept))
    ping.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def _checksum(data: bytes) -> int:
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total: int = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _seconds(ancillary: list[tuple[int, int, bytes]], sent: int, most: float) -> float:
    """Return the time until the kernel had the reply: a busy loop is not the network's delay."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            whole, rest = struct.unpack_from("@ll", data)
            found: float = (whole * 1_000_000_000 + rest - sent) / 1e9
            return found if 0 < found < most else most  # the clock was set meanwhile
    return most


def _hop_limit(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if (level, kind) in (
            (socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
        ):  # fmt: skip
            (hops,) = struct.unpack_from("=i", data)
            return int(hops)
    return None


def _refusal(protocol: int, data: bytes) -> PingError:
    """Return what a sock_extended_err says."""
    number, origin, kind, code, *_ = _ERROR.unpack_from(data)
    if origin not in _FROM_ICMP:
        return _unsent(OSError(number, os.strerror(number)))
    if number == errno.EMSGSIZE:
        return _unsent(OSError(number, ""))
    if kind == _EXCEEDED[protocol]:
        return PingError(Reason.TIMEOUT, "no way to its machine (the ttl was used up on the way)")
    if code in _PROHIBITED[protocol].get(kind, ()):
        return PingError(Reason.REFUSED, "its machine, or a router before it, refuses pings (prohibited)")
    return PingError(Reason.TIMEOUT, "no way to its machine (host unreachable)")


def _unsent(error: OSError) -> PingError:
    """Return why the system did not send."""
    number = error.errno or 0
    if number == errno.EMSGSIZE:
        detail = "the packet is too large for the way there: make payload_size smaller"
        return PingError(Reason.ERROR, detail, number)
    if number in (errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return PingError(Reason.TIMEOUT, "no way to its machine (host unreachable)", number)
    if number == errno.ENETUNREACH:
        return PingError(Reason.ERROR, "this machine has no route to that address", number)
    return PingError(Reason.ERROR, f"could not send a ping ({error.strerror or error})", number)
