"""Whatever bytes come back, in whatever pieces: a result with a reason, in its time, that can be read."""

import asyncio
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.certificates import contexts
from benchmarks.faults.grpc import SETTINGS, health
from benchmarks.faults.http import answer
from benchmarks.faults.peer import Peer, Script, Speakers
from exporter.exposition import probe_text
from exporter.labels import Labels
from exporter.lines import HEADERS, result_lines
from exporter.module import Module
from exporter.probe import Probers
from exporter.probers import ProbeLog
from exporter.reason import Reason
from exporter.result import Result
from stack.programs import find_program
from tests.exporter.fuzzing import so_many

FAST, LONG = 25, 300
TIMEOUT, LATE = 0.3, 20.0
"""Seconds for a probe, and seconds beyond which it came too late, on a machine with other things to do."""
KEPT = 8
"""Expositions that promtool looks at."""

ODD = [b"\r\n", b"\0", b"\xff" * 9, b"-", b"\n", b"9" * 30, b":", b'"']
IRC = b":irc.test 001 prober :Welcome\r\nPING :cookie\r\n"
DNS = bytes.fromhex(
    "0000818000010001000000000161047465737400000100010161047465737400000100010000012c0004c0000209"
)
VALID: dict[str, list[bytes]] = {
    "http": [
        answer("200 OK", b"{}", "Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT", "Set-Cookie: a=b", "X-A: b"),
        answer("302 Found", b"", "Location: /next"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03",
    ],
    "tcp": [IRC, b"220 mail.test ESMTP\r\n250 ok\r\n"],
    "dns": [DNS],
    "grpc": [SETTINGS + health(1), SETTINGS + health(2, "5")],
    "tls": [bytes.fromhex("160303004a0200004603035f") + bytes(70), b"\x15\x03\x03\x00\x02\x02\x28"],
}  # fmt: skip
MODULES: dict[str, dict[str, Any]] = {
    "http": {"prober": "http", "http": {
        "compression": "gzip", "fail_if_body_matches_regexp": ["nonsense"],
        "fail_if_header_matches": [{"header": "X-A", "regexp": "z", "allow_missing": True}]}},
    "https": {"prober": "http", "http": {"tls_config": {"insecure_skip_verify": True}}},
    "tcp": {"prober": "tcp", "tcp": {"query_response": [
        {"expect": "^(\\S+) (.*)$", "labels": [{"name": "said", "value": "$2"}], "send": "$1"},
        {"expect_bytes": "PING"}]}},
    "tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": {"insecure_skip_verify": True}}},
    "dns": {"prober": "dns", "dns": {
        "validate_answer_rrs": {"fail_if_none_matches_regexp": ["A"]}, "query_type": "A"}},
    "dns_tcp": {"prober": "dns", "dns": {"transport_protocol": "tcp", "query_type": "A"}},
    "grpc": {"prober": "grpc"},
}  # fmt: skip
TARGETS = {
    "http": "http://{}/", "https": "https://{}/", "tcp": "{}", "tls": "{}", "dns": "dns://{}/a.test",
    "dns_tcp": "dns://{}/a.test", "grpc": "grpc://{}",
}  # fmt: skip
SEEDS = {**VALID, "https": VALID["http"], "dns_tcp": VALID["dns"]}


@dataclass(frozen=True)
class Said:
    """What a server says, piece by piece, and what it does then."""

    pieces: tuple[bytes, ...]
    then: str


@st.composite
def said(draw: st.DrawFn, protocol: str) -> Said:
    if draw(st.booleans()):
        data = draw(st.binary(max_size=400))
    else:
        data = draw(st.sampled_from(SEEDS[protocol]))
    made = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(made)))
        way = draw(st.sampled_from(["flip", "cut", "put", "twice"]))
        if way == "flip" and at < len(made):
            made[at] ^= draw(st.integers(1, 255))
        elif way == "cut":
            del made[at : at + draw(st.sampled_from([1, 10, 1000]))]
        elif way == "put":
            made[at:at] = draw(st.sampled_from(ODD))
        else:
            made += made[at:]
    cut = draw(st.integers(0, len(made)))
    return Said((bytes(made[:cut]), bytes(made[cut:])), draw(st.sampled_from(["close", "reset", "stay"])))


def speak(peer: Peer, told: Said) -> None:
    for piece in told.pieces:
        peer.say(piece)
    if told.then == "reset":
        peer.reset()
    elif told.then == "stay":
        peer.wait()
    else:
        peer.has_gone(0.02)


@dataclass
class World:
    """Servers that say what they are told, and probers."""

    runner: asyncio.Runner
    probers: Probers
    where: dict[str, str] = field(default_factory=dict)
    told: Said = Said((), "close")
    texts: list[str] = field(default_factory=list)

    def script(self, before: Callable[[Peer], object]) -> Script:
        def hold(peer: Peer) -> None:
            before(peer)
            speak(peer, self.told)

        return hold

    def probe(self, protocol: str, told: Said) -> tuple[Result, ProbeLog]:
        self.told = told
        target, log = TARGETS[protocol].format(self.where[protocol]), ProbeLog()
        module = Module.model_validate(MODULES[protocol])
        return self.runner.run(self.probers.probe(target, module, TIMEOUT, log=log)), log


def over_tls(peer: Peer) -> None:
    peer.start_tls()
    peer.head()


BEFORE: dict[str, Callable[[Peer], object]] = {
    "http": Peer.head,
    "https": over_tls,
    "tcp": lambda _: None,
    "tls": lambda peer: peer.exactly(5),
    "grpc": lambda peer: peer.exactly(24),
}
"""What a server waits for before it speaks."""


def question(peer: Peer) -> bytes:
    return peer.exactly(int.from_bytes(peer.exactly(2), "big"))


def answering_dns(world: World) -> Callable[[Peer], None]:
    """Say what is told with its length before it, and often with the question's number."""

    def hold(peer: Peer) -> None:
        number = question(peer)[:2]
        data = b"".join(world.told.pieces)
        data = number + data[2:] if len(data) % 4 else data
        speak(peer, Said((struct.pack("!H", len(data) + len(data) % 3 % 2), data), world.told.then))

    return hold


def answering_datagrams(world: World, asked: socket.socket) -> None:
    while True:
        try:
            query, who = asked.recvfrom(4096)
            asked.sendto(query[:2] + b"".join(world.told.pieces)[2:], who)
        except OSError:
            return


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    good = contexts(tmp_path_factory.mktemp("tls"))["good"]
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))

        async def start() -> Probers:
            return Probers.start()

        made = World(runner, runner.run(start()))
        speakers = Speakers()
        for name, before in BEFORE.items():
            made.where[name] = speakers.add(made.script(before), good)
        made.where["dns_tcp"] = speakers.add(answering_dns(made), good)
        stack.enter_context(speakers)
        asked = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        asked.bind(("127.0.0.1", 0))
        made.where["dns"] = f"127.0.0.1:{asked.getsockname()[1]}"
        threading.Thread(target=answering_datagrams, args=(made, asked), daemon=True).start()
        yield made
        runner.run(made.probers.close())


def check(world: World, protocol: str, told: Said) -> None:
    result, log = world.probe(protocol, told)
    assert result.reason is None or result.reason in Reason
    assert result.success == (result.reason is None)
    assert "the probe itself failed" not in result.detail, result.detail
    assert result.duration < TIMEOUT + LATE
    assert len(result.detail) <= 300
    assert all("\n" not in line for line in log.lines)
    text = probe_text(result)
    assert any(family.name == "probe_success" for family in text_string_to_metric_families(text))
    named = zip(HEADERS, result_lines(result, Labels(site="shop", instance="x")), strict=False)
    assert list(text_string_to_metric_families("".join(head + line for head, line in named if line)))
    if len(world.texts) < KEPT or (result.success and len(world.texts) < 2 * KEPT):
        world.texts.append(text)


def fuzz(world: World, protocol: str, examples: int, *, by_chance: bool) -> None:
    checked = given(told=said(protocol))(lambda told: check(world, protocol, told))
    so_many(examples, by_chance=by_chance)(checked)()


@pytest.mark.parametrize("protocol", MODULES)
def test_any_answer_makes_a_result(world: World, protocol: str):
    fuzz(world, protocol, FAST, by_chance=False)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("protocol", MODULES)
def test_any_of_many_answers_makes_a_result(world: World, protocol: str):
    fuzz(world, protocol, LONG, by_chance=True)


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_wrong_with_what_came_of_them(world: World, tmp_path: Path):
    for protocol in MODULES:
        fuzz(world, protocol, 2, by_chance=False)
    for text in world.texts:
        done = subprocess.run(
            [str(find_program("promtool")), "check", "metrics"], input=text, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), text
