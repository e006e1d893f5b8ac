"""Whatever bytes come back to a ping: no success but by its own reply, and no fault of the prober's.

Here a UDP socket stands for the ICMP one, so that every byte of a packet can be chosen, IPv4's header and
what the kernel would sort out too. Each time the true reply comes last, and tells itself apart by its TTL.
"""

import asyncio
import errno
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.probers import ping
from exporter.probers.ping import Ping, PingError, Pong
from exporter.reason import Reason
from exporter.resolve import Address
from tests.exporter.echoes import REPLY, Told, is_the_reply, made, told
from tests.exporter.fuzzing import so_many
from tests.exporter.pinged_network import RANGE, ROOT

FAST, LONG = 25, 1_000
PAYLOAD = b"are you up?"
FALSE, TRUE = 7, 64
"""The TTL of what is made up, and of the true reply."""
KINDS = [(4, True), (4, False), (6, True), (6, False)]
"""The protocol, and whether the socket is a raw one: in IPv4 that gives the IP header too."""
IP_HEAD = b"\x45" + bytes(19)
HEADS = st.integers(5, 15).map(lambda words: bytes([0x40 | words]) + bytes(words * 4 - 1))


@dataclass
class Wire:
    """The far end of pings of one kind, and what the loop was told of faults."""

    runner: asyncio.Runner
    far: socket.socket
    protocol: int
    raw: bool
    faults: list[dict[str, Any]] = field(default_factory=list)

    def ping(self, packets: list[tuple[bytes, Told]]) -> tuple[Pong, bool]:
        """Ping once; say what came of it, and whether a packet before the true reply was one too."""
        return self.runner.run(self._ping(packets))

    async def _ping(self, packets: list[tuple[bytes, Told]]) -> tuple[Pong, bool]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
        headed = self.raw and self.protocol == 4
        with Ping(Address("far", self.protocol), PAYLOAD) as near:
            answered = asyncio.create_task(near.reply(time.monotonic() + 30))
            await asyncio.sleep(0)
            request, who = self.far.recvfrom(4096)
            answers = [made(one, request, self.protocol) for _, one in packets]
            for (head, one), answer in zip(packets, answers, strict=True):
                bare = one.begins == "bytes"  # then the header is whatever it is, or there is none
                self._send((b"" if bare or not headed else head) + answer, who, FALSE)
            reply = bytes([REPLY[self.protocol], 0, 0, 0]) + request[4:]
            self._send((IP_HEAD if headed else b"") + reply, who, TRUE)
            return await answered, any(
                is_the_reply(self._without_head(answer) if one.begins == "bytes" and headed else answer,
                             request, self.protocol)
                for (_, one), answer in zip(packets, answers, strict=True)
            )  # fmt: skip

    def _without_head(self, packet: bytes) -> bytes:
        return packet[(packet[0] & 15) * 4 :] if packet else b""

    def _send(self, data: bytes, who: Any, hops: int) -> None:
        level, option = (
            (socket.IPPROTO_IP, socket.IP_TTL)
            if self.protocol == 4
            else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        )
        self.far.setsockopt(level, option, hops)
        self.far.sendto(data, who)


@pytest.fixture(params=KINDS, ids=["ip4-raw", "ip4-ping", "ip6-raw", "ip6-ping"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    protocol, raw = request.param
    family = socket.AF_INET if protocol == 4 else socket.AF_INET6
    with (
        socket.socket(family, socket.SOCK_DGRAM) as far,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        far.bind(("127.0.0.1" if protocol == 4 else "::1", 0))
        far.settimeout(30)
        monkeypatch.setattr(ping, "_open", lambda _: (socket.socket(family, socket.SOCK_DGRAM), raw))
        monkeypatch.setattr(ping, "_place", lambda _: far.getsockname())
        monkeypatch.setattr(ping, "_attach_filter", lambda *_: None)
        yield Wire(runner, far, protocol, raw)


def check(wire: Wire, packets: list[tuple[bytes, Told]]) -> None:
    wire.faults.clear()
    pong, another = wire.ping(packets)
    assert pong.hop_limit == (FALSE if another else TRUE)
    assert 0 < pong.seconds < 60
    assert wire.faults == []


def fuzz(wire: Wire, examples: int, *, by_chance: bool) -> None:
    packets = st.lists(st.tuples(HEADS, told("reply", "reply", "request", "bytes")), max_size=4)
    so_many(examples, by_chance=by_chance)(given(packets=packets)(lambda packets: check(wire, packets)))()


def test_a_ping_succeeds_by_its_own_reply_alone(wire: Wire):
    fuzz(wire, FAST, by_chance=False)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_ping_among_many_packets_succeeds_by_its_own_reply_alone(wire: Wire):
    fuzz(wire, LONG, by_chance=True)


def test_a_reply_with_another_byte_or_without_its_end_is_none(wire: Wire):
    end = 8 + len(PAYLOAD)
    changes = [("flip", at, 1) for at in (0, *range(4, end))] + [("cut", at, end) for at in range(end)]
    for change in changes:
        check(wire, [(IP_HEAD, Told("reply", b"", (change,)))])


@settings(deadline=None, database=None, derandomize=True)
@given(
    protocol=st.sampled_from([4, 6]),
    number=st.sampled_from(sorted(errno.errorcode)),
    told=st.binary(min_size=3, max_size=3),
    rest=st.binary(min_size=11, max_size=60),
)
def test_whatever_is_said_in_place_of_a_reply_is_a_reason(
    protocol: int, number: int, told: bytes, rest: bytes
):
    error = ping._refusal(protocol, struct.pack("=I", number) + told + rest)
    assert isinstance(error, PingError)
    assert error.reason in (Reason.TIMEOUT, Reason.REFUSED, Reason.ERROR)
    assert error.detail


ALONE = (
    "set -e; ip link set lo up; sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1; "
)
"""A network in which the kernel answers no ping; where no group may have ping sockets, they are raw."""


def by_real_sockets(kind: str, *arguments: str) -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network of one's own may be made here")
    allowed = f"sysctl -qw {RANGE}='0 0'; " if kind == "ping" else ""
    program = f"exec {sys.executable} -m tests.exporter.pinged_by_chance {' '.join(arguments)}"
    command = ["unshare", "-rn", "sh", "-c", ALONE + allowed + program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [kind, kind]), done.stderr[-3000:]


@pytest.mark.needs("unshare", "ip")
@pytest.mark.parametrize("kind", ["ping", "raw"])
def test_neither_others_replies_nor_errors_about_others_are_ours(kind: str):
    by_real_sockets(kind, "30")


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.needs("unshare", "ip")
@pytest.mark.parametrize("kind", ["ping", "raw"])
def test_neither_many_of_others_replies_nor_errors_about_others_are_ours(kind: str):
    by_real_sockets(kind, "600", "by_chance")
