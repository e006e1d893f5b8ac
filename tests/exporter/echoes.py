"""What may come back in place of the reply to an echo request: its reply with changes, or any bytes."""

import struct
from dataclasses import dataclass

from hypothesis import strategies as st

REPLY = {4: 0, 6: 129}
UNREACHABLE, EXCEEDED = {4: 3, 6: 1}, {4: 11, 6: 3}
HEADER = 8
"""Bytes before the payload: type, code, checksum, identifier, sequence."""
_ADDRESSES = {4: bytes([127, 0, 0, 1]) * 2, 6: (bytes(15) + b"\1") * 2}


@dataclass(frozen=True)
class Told:
    """How one packet is made out of the request: what it begins as, and (way, where, what) of each change."""

    begins: str
    data: bytes
    changes: tuple[tuple[str, int, int], ...]


@st.composite
def told(draw: st.DrawFn, *begins: str) -> Told:
    ways = st.sampled_from(["flip", "cut", "put", "twice"])
    # Most often something of the header: identifier and sequence are 4 to 7.
    places = st.one_of(st.integers(0, HEADER), st.integers(0, 60))
    change = st.tuples(ways, places, st.integers(1, 255))
    return Told(
        draw(st.sampled_from(begins)), draw(st.binary(max_size=80)), tuple(draw(st.lists(change, max_size=3)))
    )


def made(told: Told, request: bytes, protocol: int) -> bytes:
    """Return the packet's ICMP part, with its checksum where it is IPv4's."""
    if told.begins == "bytes":
        return changed(told.data, told.changes)
    reply = bytes([REPLY[protocol], 0, 0, 0]) + request[4:]
    if told.begins == "request":
        return changed(request, told.changes)
    if told.begins in ("unreachable", "exceeded"):
        kind = (UNREACHABLE if told.begins == "unreachable" else EXCEEDED)[protocol]
        code = told.data[0] % 16 if told.data else 0
        reply = struct.pack("!BBHI", kind, code, 0, 0) + _quoted(
            changed(request, told.changes), len(request), protocol
        )
        return summed(reply, protocol)
    return summed(changed(reply, told.changes), protocol)


def changed(data: bytes, changes: tuple[tuple[str, int, int], ...]) -> bytes:
    found = bytearray(data)
    for way, where, what in changes:
        if way == "flip" and where < len(found):
            found[where] ^= what
        elif way == "cut":
            del found[where : where + what]
        elif way == "put":
            found[where:where] = bytes([what])
        elif way == "twice":
            found += found[where:]
    return bytes(found)


def summed(data: bytes, protocol: int) -> bytes:
    """Return it with IPv4's checksum: the kernel hands over nothing else to ping sockets."""
    if protocol == 6 or len(data) < 4:
        return data
    bare = data[:2] + b"\0\0" + data[4:]
    total = sum(struct.unpack(f"!{(len(bare) + 1) // 2}H", bare + b"\0" * (len(bare) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return bare[:2] + struct.pack("!H", ~total & 0xFFFF) + bare[4:]


def is_the_reply(data: bytes, request: bytes, protocol: int) -> bool:
    """Say whether a packet's ICMP part has the kind, identifier, sequence and payload that were asked for."""
    return data[:1] == bytes([REPLY[protocol]]) and len(data) >= HEADER and data[4:] == request[4:]


def _quoted(request: bytes, size: int, protocol: int) -> bytes:
    """Return a packet as an error quotes it: on its way from this machine to this machine."""
    if protocol == 6:
        return struct.pack("!IHBB", 6 << 28, size, 58, 64) + _ADDRESSES[6] + request
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, 1, 0) + _ADDRESSES[4] + request
