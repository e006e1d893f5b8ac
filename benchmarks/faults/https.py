"""How a web server can behave over TLS, and a TCP server that speaks it."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.faults.behaviour import AUTHORITY, Behaviour, Opens, full, noise, spoken, unheard
from benchmarks.faults.http import ALERT, OK, PIECE, STARTED, answer, endlessly, says
from benchmarks.faults.peer import Peer, Script

TRUSTING = {"tls_config": {"ca_file": AUTHORITY}}
OVERLONG = b"\x16\x03\x03\xff\xff" + PIECE


def after_tls(script: Script) -> Script:
    """Agree on TLS, then do what `script` does."""

    def secure(peer: Peer) -> None:
        peer.start_tls()
        script(peer)

    return secure


def on_hello(*pieces: bytes, then: Callable[[Peer], None] | None = None) -> Script:
    """Wait for the client's first words of TLS, send pieces; then close, or do what `then` does."""

    def script(peer: Peer) -> None:
        peer.exactly(5)
        for piece in pieces:
            peer.say(piece)
        if then is not None:
            then(peer)
        else:
            peer.has_gone(0.05)  # closing at once would reset what is still unread

    return script


def drip_hello(peer: Peer) -> None:
    """Send the record's head of an answer to the client's first words, a byte at a time, for ever."""
    peer.exactly(5)
    peer.say(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    while not peer.has_gone(0.05):
        peer.say(b"\0")


def garble(peer: Peer) -> None:
    """Send half an answer and go on without TLS."""
    peer.head()
    peer.say(STARTED)
    peer.say_under_tls(b"this is no record of TLS at all" * 10)
    peer.has_gone(0.05)


def _https(opens: Opens, options: Mapping[str, Any] | None = None, **more: bool) -> Behaviour:
    return Behaviour(opens, "http", "https://{}/", TRUSTING | dict(options or {}), **more)


def _shown(certificate: str, options: Mapping[str, Any] | None = None) -> Behaviour:
    return _https(spoken(after_tls(says(answer())), certificate), options)


HANDSHAKES: dict[str, tuple[Opens, bool]] = {
    "refuses": (unheard, True),
    "queue-full": (full, False),
    "plain": (spoken(on_hello(b"HTTP/1.1 400 Bad\r\n\r\n")), True),
    "noise": (noise(b"\0"), True),
    "alert": (spoken(on_hello(ALERT)), True),
    "record-overlong": (spoken(on_hello(OVERLONG)), True),
    "closes-in-handshake": (spoken(on_hello(then=lambda peer: peer.close())), True),
    "resets-in-handshake": (spoken(on_hello(then=lambda peer: peer.reset())), True),
    "hangs-in-handshake": (spoken(on_hello(then=Peer.wait)), False),
    "drips-handshake": (spoken(drip_hello), False),
}
"""What goes wrong before TLS is agreed upon, for every protocol over it; and whether it ends by itself."""
CERTIFICATES = ("expired", "early", "untrusted", "other name")

HTTPS = {
    "answers": _shown("good"),
    **{f"certificate-{name.replace(' ', '-')}": _shown(name) for name in CERTIFICATES},
    **{name: _https(opens, ends=ends) for name, (opens, ends) in HANDSHAKES.items()},
    "version-old": _shown("old", {"tls_config": {"ca_file": AUTHORITY, "min_version": "TLS13"}}),
    "asks-for-certificate": _shown("asking"),
    "fail-if-ssl": _shown("good", {"fail_if_ssl": True}),
    "status": _https(spoken(after_tls(says(answer("503 Busy"))))),
    "noise-inside": _https(spoken(after_tls(says(b"\x01\x02 no HTTP\r\n\r\n")))),
    "garbles-records": _https(spoken(after_tls(garble))),
    "resets-in-body": _https(spoken(after_tls(says(STARTED, every=0.02, then=lambda peer: peer.reset())))),
    "closes-in-body": _https(spoken(after_tls(says(STARTED)))),
    "hangs": _https(spoken(after_tls(says(then=Peer.wait))), ends=False),
    "drips-body": _https(spoken(after_tls(endlessly(STARTED, b"x", 0.05))), ends=False),
    "body-flood": _https(spoken(after_tls(endlessly(OK + b"\r\n", PIECE))), ends=False, dear=True),
}
