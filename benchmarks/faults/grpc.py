"""How a gRPC server can behave: frames of HTTP/2, written by hand, so that they can be wrong."""

import struct
from collections.abc import Callable
from typing import Any

from benchmarks.faults.behaviour import AUTHORITY, Behaviour, Opens, full, noise, nowhere, spoken, unheard
from benchmarks.faults.http import answer, says
from benchmarks.faults.https import CERTIFICATES, HANDSHAKES, after_tls
from benchmarks.faults.peer import Peer, Script

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS = 1, 4
_ACK = 1
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
Pairs = dict[str, str]
WELL: Pairs = {":status": "200", "content-type": "application/grpc"}


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def headers(pairs: Pairs, *, last: bool = False) -> bytes:
    """Write headers of stream 1, each a literal; the names and values are shorter than 127 bytes."""
    block = b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in pairs.items()
    )
    return frame(_HEADERS, _END_HEADERS | (_END_STREAM if last else 0), 1, block)


def message(body: bytes) -> bytes:
    """Write one message of stream 1."""
    return frame(_DATA, 0, 1, struct.pack("!BI", 0, len(body)) + body)


def health(serving: int, status: str = "0") -> bytes:
    """Write a whole answer of a health check."""
    return headers(WELL) + message(bytes((8, serving))) + headers({"grpc-status": status}, last=True)


SETTINGS = frame(_SETTINGS, 0, 0)
_GARBLED = frame(_HEADERS, _END_HEADERS, 1, b"\xff" * 40)


def asked(peer: Peer) -> None:
    """Read until the request has come."""
    peer.exactly(_PREFACE)
    peer.say(SETTINGS)
    while head := peer.exactly(9):
        peer.exactly(int.from_bytes(head[:3], "big"))
        if head[3] in (_DATA, _HEADERS) and head[4] & _END_STREAM:
            return


def acknowledged(peer: Peer) -> None:
    """Read until the client says that it knows the settings."""
    while (head := peer.exactly(9)) and (head[3], head[4]) != (_SETTINGS, _ACK):
        peer.exactly(int.from_bytes(head[:3], "big"))


def replies(*pieces: bytes, then: Callable[[Peer], None] = Peer.wait) -> Script:
    """Read the request and send pieces; then wait until the client has gone, or do what `then` does."""

    def script(peer: Peer) -> None:
        asked(peer)
        for piece in pieces:
            peer.say(piece)
        then(peer)

    return script


def late(piece: bytes) -> Script:
    """Read the request and the word that the settings are known, then send `piece`, and wait."""

    def script(peer: Peer) -> None:
        asked(peer)
        acknowledged(peer)
        peer.say(piece)
        peer.wait()

    return script


def endless(peer: Peer) -> None:
    """Send a message that never ends."""
    asked(peer)
    peer.say(headers(WELL))
    while not peer.has_gone(0.01):
        peer.say(frame(_DATA, 0, 1, bytes(8192)))


def pings(peer: Peer) -> None:
    """Send pings for ever and no answer."""
    asked(peer)
    while not peer.has_gone(0.02):
        peer.say(frame(_PING, 0, 0, bytes(8)) * 20)


def _grpc(opens: Opens, scheme: str = "grpc", **more: Any) -> Behaviour:
    options = {"tls_config": {"ca_file": AUTHORITY}} if scheme == "grpcs" else {}
    return Behaviour(opens, "grpc", scheme + "://{}", options, **more)


def _said(*pieces: bytes, **more: Any) -> Behaviour:
    return _grpc(spoken(replies(*pieces)), **more)


GRPC = {
    "serves": _said(health(1)),
    "does-not-serve": _said(health(2)),
    "unimplemented": _said(headers(WELL | {"grpc-status": "12"}, last=True)),
    "unavailable": _said(headers(WELL | {"grpc-status": "14", "grpc-message": "busy"}, last=True)),
    "http-503": _said(headers({":status": "503", "content-type": "application/grpc"}, last=True)),
    "web-page": _said(headers({":status": "200", "content-type": "text/html"}, last=True)),
    "no-health-check": _said(
        headers(WELL) + message(b"something else") + headers({"grpc-status": "0"}, last=True)
    ),
    "message-endless": _grpc(spoken(endless)),
    "http-1": _grpc(spoken(says(answer()))),
    "noise": _grpc(noise()),
    "noise-frames": _grpc(noise(SETTINGS)),
    "headers-garbled": _said(_GARBLED, ends=False),
    "headers-garbled-late": _grpc(spoken(late(_GARBLED)), ends=False),
    "frame-overlong": _said(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(70_000)),
    "goes-away": _grpc(spoken(replies(frame(_GOAWAY, 0, 0, struct.pack("!II", 0, 2)), then=Peer.close))),
    "resets-stream": _said(frame(_RST, 0, 1, struct.pack("!I", 2))),
    "refuses": _grpc(unheard),
    "resets": _grpc(spoken(replies(then=Peer.reset))),
    "closes": _grpc(spoken(replies(then=Peer.close))),
    "closes-in-message": _grpc(spoken(replies(headers(WELL), then=Peer.close))),
    "hangs": _said(ends=False),
    "hangs-in-message": _said(headers(WELL), ends=False),
    "pings-endlessly": _grpc(spoken(pings), ends=False),
    "queue-full": _grpc(full, ends=False),
    "unknown-name": Behaviour(nowhere, "grpc", "grpc://no-such-host.invalid:1"),
    "tls-answers": _grpc(spoken(after_tls(replies(health(1))), "http2"), "grpcs"),
    "tls-http-1": _grpc(spoken(after_tls(says(answer()))), "grpcs"),
    **{
        f"tls-certificate-{name.replace(' ', '-')}": _grpc(
            spoken(after_tls(replies(health(1))), name), "grpcs"
        )
        for name in CERTIFICATES
    },
    **{f"tls-{name}": _grpc(opens, "grpcs", ends=ends) for name, (opens, ends) in HANDSHAKES.items()},
}
