"""A waitress that accepts nothing by itself: it is handed connections, with the addresses they came from.

What is handed over is one end of a socketpair, so that no port stands beside the one that speaks TLS: who
has not passed it reaches nothing, and no header says where a request came from.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher

Address = tuple[Any, ...]
"""Of a client, as `accept` gives it."""


class HandedServer(UnixWSGIServer):  # type: ignore[misc]
    """Answers on the connections of `hand_over`, which any thread may call."""

    def __init__(self, application: Callable[..., Any], **adjustments: Any) -> None:
        """Take waitress's adjustments."""
        self._handed: deque[tuple[socket.socket, Address]] = deque()
        woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        adjusted = Adjustments(**adjustments)
        threads = ThreadedTaskDispatcher()
        threads.set_thread_count(adjusted.threads)
        super().__init__(application, {}, _sock=woken, dispatcher=threads, adj=adjusted, bind_socket=False)

    def hand_over(self, connection: socket.socket, address: Address) -> None:
        """Answer on `connection`; it is closed here."""
        self._handed.append((connection, address))
        self._wake.send(b"\0")

    def accept_connections(self) -> None:
        """Take what is handed over, instead of listening."""
        self.accepting = True

    def accept(self) -> tuple[socket.socket, Address] | None:
        """Return the next connection; one byte was sent for each."""
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return None
        return self._handed.popleft()

    def fix_addr(self, addr: Address) -> Address:
        """Return the client's own address."""
        return addr

    def close(self) -> None:
        """End, with what nobody has taken yet."""
        super().close()
        self._wake.close()
        while self._handed:
            self._handed.popleft()[0].close()
