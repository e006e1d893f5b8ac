"""What a behaviour is: a server that does it, the target to probe there, and how."""

import random
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.peer import Peer, Script, Speakers

AUTHORITY = "{authority}"
"""Stands in a module for the file of the authority that is trusted."""


@dataclass
class Place:
    """Where servers are opened; all of them end with `stack`."""

    folder: Path
    contexts: Mapping[str, ssl.SSLContext]
    names: int
    """The port of the name server that misbehaves, UDP and TCP."""
    speakers: Speakers
    stack: ExitStack
    chance: random.Random
    """What is left to chance comes out of the seed."""

    def holding(self, opened: socket.socket) -> str:
        """Keep a socket to the end, and return where it is."""
        self.stack.enter_context(opened)
        return f"127.0.0.1:{opened.getsockname()[1]}"


Opens = Callable[[Place], str]
"""Opens a server and returns where it is: `127.0.0.1:8080`, or a path."""


@dataclass(frozen=True)
class Behaviour:
    """One way to behave, as it is made to happen."""

    opens: Opens
    prober: str
    target: str = "{}"
    """The target, with where the server is."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The prober's options."""
    ends: bool = True
    """Whether the answer is over by itself; else a short timeout ends the probe."""
    dear: bool = False
    """Whether it costs so much that a campaign has only one site of it."""
    here: bool = True
    """Whether it happens on any machine; else only in a network made for it."""


def spoken(script: Script, tls: str = "good") -> Opens:
    """Hold a dialog over TCP, with the certificate of that name where it begins TLS."""
    return lambda place: place.speakers.add(script, place.contexts[tls])


def spoken_at_path(script: Script, tls: str = "good") -> Opens:
    """Hold a dialog over a unix socket."""

    def opens(place: Place) -> str:
        path = place.folder / f"{len(list(place.folder.glob('*.sock')))}.sock"
        return place.speakers.add(script, place.contexts[tls], path)

    return opens


def noise(before: bytes = b"", size: int = 300) -> Opens:
    """Wait for the first words, say `before` and then what chance has thrown once."""

    def opens(place: Place) -> str:
        thrown = before + place.chance.randbytes(size)

        def script(peer: Peer) -> None:
            peer.exactly(2)
            peer.say(thrown)
            peer.has_gone(0.05)  # closing at once would break off: not all has been read

        return place.speakers.add(script, place.contexts["good"])

    return opens


def unheard(place: Place) -> str:
    """Have a port on which nobody listens; it is bound, so that nobody else comes to."""
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    return place.holding(closed)


def full(place: Place) -> str:
    """Have a port whose queue is full and never emptied."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    for _ in range(3):
        waiting = place.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listening.getsockname())
    return place.holding(listening)


def nowhere(_place: Place) -> str:
    """Open nothing."""
    return ""


def named(place: Place) -> str:
    """Return where the name server is that misbehaves."""
    return f"127.0.0.1:{place.names}"
