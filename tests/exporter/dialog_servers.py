"""Servers that hold a dialog as they are told, over TCP or a unix socket."""

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        self._connection = connection
        self._tls = tls
        self._came = connection.makefile("rb", buffering=0)

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(data)

    def line(self) -> bytes:
        """Wait for a line; nothing once the client has gone."""
        return self._came.readline()

    def exactly(self, count: int) -> bytes:
        """Wait for so many bytes, fewer once the client has gone."""
        found = b""
        while len(found) < count and (more := self._came.read(count - len(found))):
            found += more
        return found

    def start_tls(self) -> None:
        """Agree on TLS."""
        self._connection = self._tls.wrap_socket(self._connection, server_side=True)
        self._came = self._connection.makefile("rb", buffering=0)

    def wait(self) -> None:
        """Wait until the client has gone."""
        while self._came.read(1024):
            pass

    def reset(self) -> None:
        """Break the connection off."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._came.close()
        self._connection.close()


Script = Callable[[Peer], None]


def _irc(peer: Peer) -> None:
    nick, user = peer.line(), peer.line()
    assert nick.startswith(b"NICK ")
    assert user.startswith(b"USER ")
    peer.say(b":irc.test NOTICE AUTH :*** Looking up\r\nPING :cookie.42\r\n")
    if peer.line() == b"PONG cookie.42\n":
        peer.say(b":irc.test 001 prober :Welcome\r\n")
    peer.wait()


def _postgres(peer: Peer) -> None:
    """Answer an SSLRequest as PostgreSQL does, which bears no byte more than it has."""
    if peer.exactly(8) != bytes.fromhex("0000000804d2162f"):
        return
    peer.say(b"S")
    peer.start_tls()
    peer.wait()


def _injecting(peer: Peer) -> None:
    """Say beforehand, in the clear, what shall be taken for words of the encrypted connection."""
    peer.line()
    peer.say(b"220 go\n250 injected\n")
    peer.start_tls()
    peer.wait()


def _telling(*said: bytes, stays: bool = False) -> Script:
    def tell(peer: Peer) -> None:
        for data in said:
            peer.say(data)
        if stays:
            peer.wait()

    return tell


def _reset(peer: Peer) -> None:
    peer.say(b"hel")
    peer.reset()


def _starting(peer: Peer) -> None:
    peer.line()
    peer.say(b"220 go\n")
    peer.start_tls()
    peer.say(b"250 " + peer.line())
    peer.wait()


def _secure(peer: Peer) -> None:
    peer.start_tls()
    peer.say(b"SSH-2.0-Secure of course\n")
    peer.wait()


SCRIPTS: dict[str, Script] = {
    "secure": _secure,
    "irc": _irc,
    "postgres": _postgres,
    "injecting": _injecting,
    "starting": _starting,
    "banner": _telling(b"SSH-2.0-Test_1.2 some comment\r\n", stays=True),
    "unended": _telling(b"first\nSSH-2.0-Unended"),
    "other": _telling(b"220 mail.test\r\n250 ok\r\n"),
    "other_stays": _telling(b"421 too busy\r\n", stays=True),
    "empty_lines": _telling(b"\n\r\n\r\r\nSSH-2.0-x\n"),
    "pieces": _telling(b"SSH", b"-2.0", b"-Pieces a b\r", b"\n", stays=True),
    "fits": _telling(b"a" * 65_535 + b"\nSSH-2.0-x y\n", stays=True),
    "too_long": _telling(b"a" * 65_536 + b"\nSSH-2.0-x y\n", stays=True),
    "endless": _telling(b"a" * 200_000, stays=True),
    "binary": _telling(b"\xff\xfe\x00\nSSH-2.0-\xc3\xbc x\n", stays=True),
    "silent": _telling(stays=True),
    "closed": _telling(),
    "reset": _reset,
    "bytes": _telling(b"\x00\x01ok!", stays=True),
    "bytes_short": _telling(b"\x00\x01o"),
}
"""Ways to speak, by name."""


class _Speaking(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        peer = Peer(self.request, server.tls)
        with contextlib.closing(peer), contextlib.suppress(OSError):
            server.script(peer)


class _OverTCP(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


class _OverUnix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def speaking(script: Script, tls: ssl.SSLContext, path: Path | None = None) -> Iterator[str]:
    """Run one on loopback, or at `path`, until the block ends; give its target."""
    with ExitStack() as stack:
        made: Any = _OverUnix(str(path), _Speaking) if path else _OverTCP(("127.0.0.1", 0), _Speaking)
        server = stack.enter_context(made)
        server.script, server.tls = script, tls
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(server.shutdown)
        yield str(path) if path else f"127.0.0.1:{server.server_address[1]}"
