"""How a web server can behave: over HTTP."""

import gzip
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.faults.behaviour import Behaviour, Opens, full, noise, nowhere, spoken, unheard
from benchmarks.faults.peer import Peer, Script

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"x" * 65_536
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""TLS's handshake_failure."""
BOMB = gzip.compress(bytes(64 << 20))
"""64 MB in 64 KB."""


def answer(status: str = "200 OK", body: bytes = b"hello", *headers: str) -> bytes:
    """Write a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def says(*pieces: bytes, every: float = 0.0, then: Callable[[Peer], None] | None = None) -> Script:
    """Read a request and send pieces, `every` so many seconds; then close, or do what `then` does."""

    def script(peer: Peer) -> None:
        if not peer.head():
            return
        for piece in pieces:
            peer.say(piece)
            if every and peer.has_gone(every):
                return
        if then is not None:
            then(peer)

    return script


def endlessly(before: bytes, piece: bytes, every: float = 0.0) -> Script:
    """Read a request, send `before`, and then `piece` again and again."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.say(before)
        while not (every and peer.has_gone(every)):
            peer.say(piece)

    return script


def late(seconds: float) -> Script:
    """Let the client wait before anything is read."""

    def script(peer: Peer) -> None:
        peer.goes_unread(seconds)
        peer.head()
        peer.say(answer())

    return script


def circle(peer: Peer) -> None:
    """Lead from /1 to /2 and from there to /1."""
    path = peer.head().split(b" ")[1]
    peer.say(answer("302 Found", b"", f"Location: {'/1' if path == b'/2' else '/2'}"))


def maze(peer: Peer) -> None:
    """Lead ever farther."""
    path = peer.head().split(b" ")[1].decode()
    peer.say(answer("302 Found", b"", f"Location: {path}x"))


def home(peer: Peer) -> None:
    """Lead to /home, where all is well."""
    well = peer.head().startswith(b"GET /home ")
    peer.say(answer() if well else answer("301 Moved", b"", "Location: /home"))


def close_unread(peer: Peer) -> None:
    """Close before the request was read, which makes it a reset."""
    peer.goes_unread(0.02)


def hang_unread(peer: Peer) -> None:
    """Take the connection and nothing else."""
    peer.goes_unread(30)


def _http(opens: Opens, options: Mapping[str, Any] | None = None, **more: bool) -> Behaviour:
    return Behaviour(opens, "http", "http://{}/", options or {}, **more)


def _said(*pieces: bytes, **more: Any) -> Behaviour:
    return _http(spoken(says(*pieces)), more.pop("options", None), **more)


STARTED = OK + b"Content-Length: 100\r\n\r\nhalf"
LIMIT = {"body_size_limit": "100KB"}
UNPACKS = {"compression": "gzip"}
_PACKED = "Content-Encoding: gzip"

WELL = {
    "answers": _said(answer()),
    "answers-slowly": _http(spoken(says(OK, b"Content-Length: 5\r\n", b"\r\n", b"he", b"llo", every=0.02))),
    "accepts-late": _http(spoken(late(0.3))),
    "announces": _said(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", answer()),
    "says-more": _said(answer() + b"and more than was announced"),
    "half-closes": _http(spoken(says(answer(), then=Peer.half_close))),
    "ends-by-closing": _said(OK + b"\r\nhello"),
    "redirects": _http(spoken(home)),
    "bomb-unasked": _said(answer("200 OK", BOMB, _PACKED)),
}
"""What is no fault."""

WRONG = {
    "500": _said(answer("500 Oops")),
    "circle": _http(spoken(circle), dear=True),
    "maze": _http(spoken(maze), dear=True),
    "redirects-nowhere": _said(answer("302 Found", b"", "Location: ftp://a/")),
    "redirects-to-nobody": _said(answer("302 Found", b"", "Location: http://127.0.0.1:1/")),
    "body-lacks": _said(answer(), options={"fail_if_body_not_matches_regexp": ["Welcome"]}),
    "body-holds": _said(answer(), options={"fail_if_body_matches_regexp": ["hell"]}),
    "body-too-large": _said(answer("200 OK", PIECE * 2), options=LIMIT),
    "body-endless-limited": _http(spoken(endlessly(OK + b"\r\n", PIECE)), LIMIT),
    "body-chunks-endless-limited": _http(spoken(endlessly(CHUNKED, b"10000\r\n" + PIECE + b"\r\n")), LIMIT),
    "body-no-gzip": _said(answer("200 OK", b"hello", _PACKED), options=UNPACKS),
    "body-gzip-cut": _said(answer("200 OK", gzip.compress(PIECE)[:-20], _PACKED), options=UNPACKS),
    "bomb": _said(answer("200 OK", BOMB, _PACKED), options=UNPACKS | LIMIT),
    "bomb-unlimited": _said(answer("200 OK", BOMB, _PACKED), options=UNPACKS, dear=True),
    "header-lacks": _said(
        answer(), options={"fail_if_header_not_matches": [{"header": "X-Ok", "regexp": "yes"}]}
    ),
    "header-holds": _said(
        answer("200 OK", b"", "X-Bad: yes"),
        options={"fail_if_header_matches": [{"header": "X-Bad", "regexp": "yes"}]},
    ),
    "version": _said(answer(), options={"valid_http_versions": ["HTTP/2.0"]}),
}
"""What answers, in HTTP, but not as it should."""

GARBLED = {
    "noise": _http(noise()),
    "noise-after-status": _http(noise(OK)),
    "mail-server": _said(b"220 mail.example ESMTP\r\n"),
    "version-9": _said(b"HTTP/9.9 200 OK\r\n\r\n"),
    "status-abc": _said(b"HTTP/1.1 abc\r\n\r\n"),
    "length-negative": _said(OK + b"Content-Length: -5\r\n\r\n"),
    "length-twice": _said(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "header-nul": _said(OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n"),
    "header-huge": _said(OK + b"X: " + b"y" * 400_000 + b"\r\n\r\n"),
    "headers-endless": _http(spoken(endlessly(OK, b"X-Header: " + b"y" * 990 + b"\r\n"))),
    "chunk-bad": _said(CHUNKED + b"zzz\r\n"),
    "chunk-huge": _said(CHUNKED + b"ffffffffffffffffff\r\nx\r\n"),
    "chunk-overrun": _said(CHUNKED + b"2\r\nhello\r\n0\r\n\r\n"),
    "announces-endlessly": _http(spoken(endlessly(b"", b"HTTP/1.1 103 Soon\r\nX: y\r\n\r\n" * 100))),
    "tls-port": _said(ALERT),
}
"""What answers, but not in HTTP."""

SILENT = {
    "refuses": _http(unheard),
    "resets": _http(spoken(says(then=lambda peer: peer.reset()))),
    "resets-in-body": _http(spoken(says(STARTED, every=0.02, then=lambda peer: peer.reset()))),
    "closes": _said(),
    "closes-unread": _http(spoken(close_unread)),
    "closes-in-headers": _said(OK + b"Content-Le"),
    "closes-in-body": _said(STARTED),
    "closes-in-chunk": _said(CHUNKED + b"ff\r\nhello"),
    "half-closes-silently": _http(spoken(says(then=Peer.half_close))),
    "queue-full": _http(full, ends=False),
    "hangs": _http(spoken(says(then=Peer.wait)), ends=False),
    "hangs-unread": _http(spoken(hang_unread), ends=False),
    "hangs-in-headers": _http(spoken(says(OK + b"X: ", then=Peer.wait)), ends=False),
    "hangs-in-body": _http(spoken(says(STARTED, then=Peer.wait)), ends=False),
    "announces-only": _http(spoken(says(b"HTTP/1.1 100 Continue\r\n\r\n", then=Peer.wait)), ends=False),
    "drips-headers": _http(spoken(endlessly(OK, b"X: y\r\n", 0.02)), ends=False),
    "drips-body": _http(spoken(endlessly(STARTED, b"x", 0.05)), ends=False),
    "drips-chunks": _http(spoken(endlessly(CHUNKED, b"1\r\nx\r\n", 0.02)), ends=False),
    "body-endless": _http(spoken(endlessly(OK + b"\r\n", PIECE[:4096], 0.01)), ends=False),
    "body-flood": _http(spoken(endlessly(OK + b"\r\n", PIECE)), ends=False, dear=True),
    "chunks-flood": _http(spoken(endlessly(CHUNKED, b"10000\r\n" + PIECE + b"\r\n")), ends=False, dear=True),
    "unknown-name": Behaviour(nowhere, "http", "http://no-such-host.invalid/"),
    "proxy-refuses": Behaviour(nowhere, "http", "http://127.0.0.1:9/", {"proxy_url": "http://127.0.0.1:1"}),
}
"""What does not answer, or not wholly, or cannot be asked."""

HTTP = WELL | WRONG | GARBLED | SILENT
