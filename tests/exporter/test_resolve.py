import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.resolve import Address, ResolveError, Resolver, address_hash, literal
from tests.exporter.loopback import run
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}


class NameServer(asyncio.DatagramProtocol):
    """Answers for `zone`: name -> {query type: address}; silent where it is None, and about `silent…`."""

    def __init__(self, zone: dict[str, dict[int, str]] | None) -> None:
        self.zone = zone

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.zone is None:
            return
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode().lower())
            at += 1 + data[at]
        if labels[0].startswith("silent"):
            return
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        records = self.zone.get(".".join(labels))
        answer = b""
        if records and kind in records:
            address = socket.inet_pton(_TYPES[kind], records[kind])
            answer = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(address)) + address
        flags = 0x8180 if records is not None else 0x8183
        head = data[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0)
        self.transport.sendto(head + data[12 : at + 5] + answer, addr)


@asynccontextmanager
async def resolving(zone: dict[str, dict[int, str]] | None) -> AsyncIterator[Resolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(zone), local_addr=("127.0.0.1", 0))
    resolver = Resolver([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"])
    try:
        yield resolver
    finally:
        await resolver.close()
        transport.close()


ZONE = {
    "both.example": {1: "192.0.2.1", 28: "2001:db8::1"},
    "old.example": {1: "192.0.2.2"},
    "empty.example": {},
}


def look_up(name: str, prefer: int, fallback: bool = True) -> list[Address]:
    async def test() -> list[Address]:
        async with resolving(ZONE) as resolver:
            return await resolver.lookup(name, prefer, fallback, 3)

    return run(test())


def test_the_preferred_protocol_comes_first():
    old, new = Address("192.0.2.1", 4), Address("2001:db8::1", 6)
    assert look_up("both.example", 6) == [new, old]
    assert look_up("both.example", 4) == [old, new]
    assert look_up("both.example", 4, fallback=False) == [old]


def test_the_other_protocol_is_used_only_with_fallback():
    assert look_up("old.example", 6) == [Address("192.0.2.2", 4)]
    with pytest.raises(ResolveError, match=r"old\.example"):
        look_up("old.example", 6, fallback=False)


@pytest.mark.parametrize(
    ("name", "words"), [("no.example", "does not exist"), ("empty.example", "no address")]
)
def test_what_is_wrong_with_a_name_is_told(name: str, words: str):
    with pytest.raises(ResolveError, match=words):
        look_up(name, 4)


def test_a_silent_name_server_takes_no_longer_than_allowed():
    async def test() -> float:
        async with resolving(None) as resolver:
            began = asyncio.get_running_loop().time()
            with pytest.raises(ResolveError, match="in time"):
                await resolver.lookup("both.example", 4, True, 0.2)
            return asyncio.get_running_loop().time() - began

    assert run(test()) < 1


def test_names_that_nobody_answers_for_delay_no_other():
    async def test() -> None:
        async with resolving(ZONE) as resolver:
            waiting = [
                asyncio.create_task(resolver.lookup(f"silent{number}.example", 4, True, 1))
                for number in range(50)
            ]
            await asyncio.sleep(0)
            async with asyncio.timeout(0.5):
                for _ in range(20):
                    await resolver.lookup("both.example", 4, True, 5)
            assert not any(task.done() for task in waiting)
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(end) for end in ends} == {ResolveError}

    run(test())


def test_addresses_are_known_as_such():
    assert literal("127.0.0.1") == Address("127.0.0.1", 4)
    assert literal("fe80::1%eth0") == Address("fe80::1%eth0", 6)
    assert literal("shop.example") is None
    assert literal("127.1") is None


def test_the_hash_is_blackbox_exporters():
    assert address_hash("127.0.0.1") == 3668918509
    assert address_hash("::1") == 1751717746


def test_a_closed_resolver_leaves_nothing_watched_and_refuses():
    async def test() -> None:
        async with resolving(None) as resolver:
            asked = asyncio.create_task(resolver.lookup("both.example", 4, True, 5))
            await asyncio.sleep(0)
            await resolver.close()
            with pytest.raises(ResolveError):
                await asked
            with pytest.raises(ResolveError):
                await resolver.lookup("both.example", 4, True, 5)

    run(test())


def test_a_name_server_that_refuses_is_told():
    async def test() -> None:
        resolver = Resolver([f"127.0.0.1:{free_port()}"])
        with pytest.raises(ResolveError, match="no name server answered"):
            await resolver.lookup("both.example", 4, True, 5)
        await resolver.close()

    run(test())


@pytest.mark.parametrize("name", ["a..b", "x" * 70 + ".example", "-", "*.example"])
def test_an_impossible_name_is_a_resolve_error(name: str):
    with pytest.raises(ResolveError, match="name"):
        look_up(name, 4)


def test_many_lookups_at_once_all_come_back():
    async def test() -> int:
        async with resolving(ZONE) as resolver:
            found = await asyncio.gather(*(resolver.lookup("both.example", 6, True, 5) for _ in range(50)))
            return len(found)

    assert run(test()) == 50


RESOLVES_NOTHING = """
import asyncio, sys
from exporter.resolve import ResolveError, Resolver
async def look_up():
    resolver = Resolver()
    try:
        await resolver.lookup("shop.example", 4, True, 0.5)
    except ResolveError as error:
        print(error)
    await resolver.close()
asyncio.run(look_up())
"""


@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(
    ("configuration", "asked"),
    [("", "127.0.0.1"), ("nameserver 203.0.113.53\nnameserver 203.0.113.54\n", "203.0.113.53, 203.0.113.54")],
)
def test_a_machine_without_a_name_server_says_that_it_is_its_own_fault(
    tmp_path: Path, configuration: str, asked: str
):
    if subprocess.run(("unshare", "-rmn", "true"), capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for mounts and networks here")
    (tmp_path / "resolv.conf").write_text(configuration)
    (tmp_path / "hosts").write_text("")
    steps = 'mount --bind resolv.conf /etc/resolv.conf && mount --bind hosts /etc/hosts && "$0" -c "$1"'
    done = subprocess.run(
        ("unshare", "-rmn", "sh", "-c", steps, sys.executable, RESOLVES_NOTHING),
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == (
        f"no name server answered for shop.example in time (this machine asks {asked}: /etc/resolv.conf)\n"
    ), done.stderr
