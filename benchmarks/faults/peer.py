"""Servers that hold a dialog as a script says, over TCP or a unix socket: one thread a connection.

A thread for all that is accepted, since a hundred servers are no rarity.
"""

import contextlib
import os
import select
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_PIECE = 65_536
_LONGEST_WAIT = 60.0
"""Seconds that a server waits for a client that neither speaks nor goes."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        connection.settimeout(_LONGEST_WAIT)
        self._connection = connection
        self._tls = tls
        self._came = bytearray()

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(data)

    def line(self) -> bytes:
        """Wait for a line; what came of it once the client has gone."""
        while b"\n" not in self._came and self._more():
            pass
        return self._taken(self._came.find(b"\n") + 1 or len(self._came))

    def head(self) -> bytes:
        """Wait for the head of an HTTP request."""
        while b"\r\n\r\n" not in self._came and self._more():
            pass
        return self._taken(self._came.find(b"\r\n\r\n") + 4)

    def exactly(self, count: int) -> bytes:
        """Wait for so many bytes, fewer once the client has gone."""
        while len(self._came) < count and self._more():
            pass
        return self._taken(min(count, len(self._came)))

    def wait(self) -> None:
        """Wait until the client has gone."""
        while self._more():
            self._came.clear()

    def has_gone(self, seconds: float) -> bool:
        """Wait for `seconds`, or until the client has gone; say whether it has."""
        self._connection.settimeout(seconds)
        try:
            return not self._more()
        except TimeoutError:
            return False
        finally:
            self._connection.settimeout(_LONGEST_WAIT)

    def goes_unread(self, seconds: float) -> bool:
        """Do the same without reading what it says."""
        polled = select.poll()
        polled.register(self._connection, select.POLLRDHUP)
        return bool(polled.poll(seconds * 1000))

    def start_tls(self) -> None:
        """Agree on TLS."""
        secure = self._tls.wrap_socket(self._connection, server_side=True, do_handshake_on_connect=False)
        self._connection = secure
        try:
            secure.do_handshake()
        except ssl.SSLError:
            # Who closes while something is unread breaks off, and why it did so is lost.
            while socket.socket.recv(secure, _PIECE):
                pass
            raise

    def say_under_tls(self, data: bytes) -> None:
        """Send bytes that are not encrypted on a connection that is."""
        os.write(self._connection.fileno(), data)

    def half_close(self) -> None:
        """Say that nothing more will be said, and wait until the client has gone."""
        socket.socket.shutdown(self._connection, socket.SHUT_WR)
        self.wait()

    def reset(self) -> None:
        """Break the connection off."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _more(self) -> bool:
        data = self._connection.recv(_PIECE)
        self._came += data
        return bool(data)

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._came[:count])
        del self._came[:count]
        return taken


Script = Callable[[Peer], None]


class Speakers:
    """Many such servers; a context manager that ends them all."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def add(self, script: Script, tls: ssl.SSLContext, path: Path | None = None) -> str:
        """Listen on loopback, or at `path`, and hold `script` with whoever comes; return the target.

        Only before the block begins.
        """
        if path is None:
            listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
            target = f"127.0.0.1:{listening.getsockname()[1]}"
        else:
            listening, target = socket.socket(socket.AF_UNIX), str(path)
            listening.bind(target)
            listening.listen(1024)
        self._selector.register(listening, selectors.EVENT_READ, (script, tls))
        return target

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wakes.send(b"x")
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._wakes.close()
        self._selector.close()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(OSError):
                    connection, _ = key.fileobj.accept()
                    threading.Thread(target=_speak, args=(connection, *key.data), daemon=True).start()


def _speak(connection: socket.socket, script: Script, tls: ssl.SSLContext) -> None:
    peer = Peer(connection, tls)
    with contextlib.closing(peer), contextlib.suppress(OSError):
        script(peer)


@contextmanager
def speaking(script: Script, tls: ssl.SSLContext, path: Path | None = None) -> Iterator[str]:
    """Run one such server until the block ends; give its target."""
    speakers = Speakers()
    target = speakers.add(script, tls, path)
    with speakers:
        yield target
