"""How a server can behave in a dialog: over TCP, with TLS and without, and over a unix socket."""

import socket
from collections.abc import Mapping
from typing import Any

from benchmarks.faults.behaviour import (
    AUTHORITY,
    Behaviour,
    Opens,
    Place,
    full,
    noise,
    nowhere,
    spoken,
    spoken_at_path,
    unheard,
)
from benchmarks.faults.dialogs import SCRIPTS
from benchmarks.faults.https import CERTIFICATES, HANDSHAKES
from benchmarks.faults.peer import Peer, Script

BANNER = {"query_response": [{"expect": "^SSH-2.0"}]}
BYTES = {"query_response": [{"expect_bytes": "ok!"}]}
STARTTLS = {"query_response": [{"send": "STARTTLS"}, {"expect": "^220", "starttls": True}]}
TRUSTING = {"tls_config": {"ca_file": AUTHORITY}}
SECURE = {"tls": True} | TRUSTING


def lines_endlessly(peer: Peer) -> None:
    """Send lines that nobody wants, for ever."""
    while not peer.has_gone(0.02):
        peer.say(b"250 and more\r\n" * 10)


def flood(peer: Peer) -> None:
    """Send lines as fast as they are taken."""
    while True:
        peer.say(b"250 and more\r\n" * 1000)


def drip(peer: Peer) -> None:
    """Send a line that never ends, slowly."""
    while not peer.has_gone(0.05):
        peer.say(b"S")


def refuse_tls(peer: Peer) -> None:
    """Promise TLS, and go on without."""
    peer.line()
    peer.say(b"220 go\r\n")
    peer.exactly(5)
    peer.say(b"454 not now\r\n")
    peer.has_gone(0.05)


def close_unread(peer: Peer) -> None:
    """Close while something is unread, which breaks the connection off."""
    peer.goes_unread(0.02)


DIALOGS: dict[str, tuple[Script, Mapping[str, Any], bool]] = {
    "greets": (SCRIPTS["banner"], BANNER, True),
    "greets-in-pieces": (SCRIPTS["pieces"], BANNER, True),
    "other-words": (SCRIPTS["other"], BANNER, True),
    "other-words-and-stays": (SCRIPTS["other_stays"], BANNER, False),
    "lines-endless": (lines_endlessly, BANNER, False),
    "lines-flood": (flood, BANNER, False),
    "other-bytes": (SCRIPTS["banner"], BYTES, True),
    "line-overlong": (SCRIPTS["too_long"], BANNER, True),
    "line-endless": (SCRIPTS["endless"], BANNER, True),
    "line-drips": (drip, BANNER, False),
    "silent": (SCRIPTS["silent"], BANNER, False),
    "closes": (SCRIPTS["closed"], BANNER, True),
    "closes-unread": (close_unread, {"query_response": [{"send": "hello"}, {"expect": "x"}]}, True),
    "half-closes": (Peer.half_close, BANNER, True),
    "bytes-cut": (SCRIPTS["bytes_short"], {"query_response": [{"expect_bytes": "ok!!"}]}, True),
}
"""What is said, what is wanted, and whether it ends by itself; the same over TCP and a unix socket."""
DEAR = {"lines-flood"}

TCP = {
    "connects": Behaviour(spoken(SCRIPTS["silent"]), "tcp"),
    **{
        name: Behaviour(spoken(script), "tcp", options=options, ends=ends, dear=name in DEAR)
        for name, (script, options, ends) in DIALOGS.items()
    },
    "noise": Behaviour(noise(), "tcp", options={"query_response": [{"send": "hello"}, {"expect": "^SSH"}]}),
    "resets": Behaviour(spoken(SCRIPTS["reset"]), "tcp", options=BANNER),
    "refuses": Behaviour(unheard, "tcp", options=BANNER),
    "refuses-connect": Behaviour(unheard, "tcp"),
    "queue-full": Behaviour(full, "tcp", options=BANNER, ends=False),
    "queue-full-connect": Behaviour(full, "tcp", ends=False),
    "starts-tls": Behaviour(spoken(SCRIPTS["starting"]), "tcp", options=STARTTLS | TRUSTING),
    "starts-tls-expired": Behaviour(
        spoken(SCRIPTS["starting"], "expired"), "tcp", options=STARTTLS | TRUSTING
    ),
    "starts-no-tls": Behaviour(spoken(refuse_tls), "tcp", options=STARTTLS | TRUSTING),
    "source-not-ours": Behaviour(
        spoken(SCRIPTS["silent"]), "tcp", options={"source_ip_address": "192.0.2.250"}
    ),
    "unknown-name": Behaviour(nowhere, "tcp", "no-such-host.invalid:25"),
}


def _over_tls(name: str, opens: Opens, *, ends: bool = True) -> dict[str, Behaviour]:
    """Make it happen to a mere connect, which is libcurl's, and to a dialog, which is our own."""
    return {
        f"{name}-connect": Behaviour(opens, "tcp", options=SECURE, ends=ends),
        f"{name}-dialog": Behaviour(opens, "tcp", options=SECURE | BANNER, ends=ends),
    }


TLS: dict[str, Behaviour] = {}
for _name in ("good", *CERTIFICATES):
    _of = "answers" if _name == "good" else f"certificate-{_name.replace(' ', '-')}"
    TLS |= _over_tls(_of, spoken(SCRIPTS["secure"], _name))
for _name, (_opens, _ends) in HANDSHAKES.items():
    TLS |= _over_tls(_name, _opens, ends=_ends)
TLS["asks-for-certificate-dialog"] = Behaviour(
    spoken(SCRIPTS["secure"], "asking"), "tcp", options=SECURE | BANNER
)


def unheard_path(place: Place) -> str:
    """Have a socket's file that nobody listens at."""
    path = place.folder / "unheard"
    place.stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
    return str(path)


def full_path(place: Place) -> str:
    """Have a socket whose queue is full and never emptied."""
    path = str(place.folder / "full")
    listening = place.stack.enter_context(socket.socket(socket.AF_UNIX))
    listening.bind(path)
    listening.listen(0)
    for _ in range(3):
        waiting = place.stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.setblocking(False)
        waiting.connect_ex(path)
    return path


def no_path(place: Place) -> str:
    """Name a file that is not there."""
    return str(place.folder / "nothing")


def no_socket(place: Place) -> str:
    """Name a file that is no socket."""
    path = place.folder / "file"
    path.touch()
    return str(path)


UNIX = {
    "connects": Behaviour(spoken_at_path(SCRIPTS["silent"]), "unix", "unix://{}"),
    **{
        name: Behaviour(spoken_at_path(script), "unix", "unix://{}", options, ends, name in DEAR)
        for name, (script, options, ends) in DIALOGS.items()
    },
    "no-file": Behaviour(no_path, "unix", "unix://{}"),
    "no-socket": Behaviour(no_socket, "unix", "unix://{}"),
    "refuses": Behaviour(unheard_path, "unix", "unix://{}"),
    "queue-full": Behaviour(full_path, "unix", "unix://{}", ends=False),
}
