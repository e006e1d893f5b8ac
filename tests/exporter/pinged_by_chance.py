"""Pings this machine, and answers by chance, in a network of its own where the kernel answers nothing.

Its raw sockets see every request on the loopback and say in its place whatever hypothesis makes up, and then
the true reply, by another TTL. `python -m tests.exporter.pinged_by_chance EXAMPLES [by_chance]` ends with 0,
or with what made a ping succeed, or fail, that should not have.
"""

import asyncio
import contextlib
import select
import socket
import sys
import time

import uvloop
from hypothesis import given
from hypothesis import strategies as st

from exporter.probers.ping import Ping, PingError, Pong
from exporter.resolve import Address
from tests.exporter.echoes import REPLY, Told, changed, is_the_reply, made, summed, told
from tests.exporter.fuzzing import so_many

FALSE, TRUE = 7, 64
PAYLOAD = b"are you up?"

ERRORS = ("unreachable", "exceeded")


class Answering:
    """A raw socket that hears what is asked, and says what it is told."""

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol
        family, number = (socket.AF_INET, socket.IPPROTO_ICMP) if protocol == 4 else (
            socket.AF_INET6, socket.IPPROTO_ICMPV6)  # fmt: skip
        self.address = "127.0.0.1" if protocol == 4 else "::1"
        self._socket = socket.socket(family, socket.SOCK_RAW, number)
        self._socket.settimeout(30)

    def forget(self) -> None:
        """Leave out what it has said itself: some of it looks like a request."""
        while select.select([self._socket], [], [], 0)[0]:
            self._socket.recv(65535)

    def request(self) -> bytes:
        while True:
            data = self._socket.recv(65535)
            data = data[(data[0] & 15) * 4 :] if self.protocol == 4 else data
            if data[:1] == bytes([8 if self.protocol == 4 else 128]) and data[8:] == PAYLOAD:
                return data

    def say(self, data: bytes, hops: int) -> None:
        level, option = (
            (socket.IPPROTO_IP, socket.IP_TTL) if self.protocol == 4
            else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        )  # fmt: skip
        self._socket.setsockopt(level, option, hops)
        with contextlib.suppress(OSError):  # the kernel sends none without a whole header
            self._socket.sendto(data, (self.address, 0))


async def ping(answering: Answering, packets: list[Told]) -> None:
    """Ping once; what comes of it must be what the packets allow."""
    faults: list[object] = []
    found: Pong | PingError
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    answering.forget()
    with Ping(Address(answering.address, answering.protocol), PAYLOAD) as near:
        answered = asyncio.create_task(near.reply(time.monotonic() + 30))
        await asyncio.sleep(0)
        request = answering.request()
        answers = [made(one, request, answering.protocol) for one in packets]
        for answer in answers:
            answering.say(answer, FALSE)
        reply = bytes([REPLY[answering.protocol], 0, 0, 0]) + request[4:]
        answering.say(summed(reply, answering.protocol), TRUE)
        try:
            found = await answered
        except PingError as error:
            found = error
    assert not faults, faults
    if isinstance(found, PingError):
        assert any(
            one.begins in ERRORS and changed(request, one.changes)[4:8] == request[4:8] for one in packets
        ), found.detail
    elif found.hop_limit != TRUE:
        assert any(is_the_reply(answer, request, answering.protocol) for answer in answers)


def main(examples: int, *, by_chance: bool) -> None:
    """Ping so often by both protocols, and say which kind of socket is allowed here."""
    wanted = so_many(examples, by_chance=by_chance)
    packets = st.lists(told("reply", "reply", "request", "bytes", *ERRORS), max_size=4)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for protocol in (4, 6):
            to = Answering(protocol)
            wanted(given(packets)(lambda packets: runner.run(ping(to, packets))))()  # noqa: B023 (called at once)
            with Ping(Address(to.address, protocol), b"") as one:
                print("raw" if one.raw else "ping")


if __name__ == "__main__":
    main(int(sys.argv[1]), by_chance="by_chance" in sys.argv)
