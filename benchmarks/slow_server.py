"""A server that answers after a known delay, and tells how long it really was; one share of paths hangs.

`python -m benchmarks.slow_server PORT DELAY`: /NAME is answered after DELAY seconds, /hang-NAME never, and
/delays with how long each request to a name waited: {name: [seconds, …]}.

On an epoll by hand: connections come twenty at a time, and those that wait to be accepted (50 us each on
uvloop) would pass for an error of who measures. Here one takes some 10 us, and comes before any answer.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from typing import NamedTuple

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_WELL = _ANSWER % (2, b"ok")


class _Asked(NamedTuple):
    """A request that waits for its answer."""

    due: float
    began: float
    connection: socket.socket
    name: str


class SlowServer:
    """Answers on 127.0.0.1 after `delay` seconds, from `serve` on."""

    def __init__(self, port: int, delay: float) -> None:
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._open: dict[int, tuple[socket.socket, float]] = {}
        """Connections that are watched, and when they were accepted."""
        self._waiting: deque[_Asked] = deque()
        self._delays: dict[str, list[float]] = {}

    def serve(self) -> None:
        """Serve until the process ends."""
        while True:
            wait = self._waiting[0].due - time.monotonic() if self._waiting else None
            for descriptor, _ in self._epoll.poll(wait if wait is None else max(wait, 0.0)):
                self._accept() if descriptor == self._listener.fileno() else self._read(descriptor)
            while self._waiting and self._waiting[0].due <= time.monotonic():
                self._answer(self._waiting.popleft())
                self._accept()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            began = time.monotonic()
            connection.setblocking(False)
            self._open[connection.fileno()] = connection, began
            self._epoll.register(connection, select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        connection, began = self._open[descriptor]
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        name = data.split(b" ", 2)[1].decode().strip("/") if data else ""
        if name.startswith("hang-"):
            return
        del self._open[descriptor]
        self._epoll.unregister(connection)
        if name == "delays":
            body = json.dumps(self._delays).encode()
            connection.setblocking(True)
            connection.sendall(_ANSWER % (len(body), body))
        if name in ("", "delays"):
            connection.close()
        else:
            self._waiting.append(_Asked(time.monotonic() + self._delay, began, connection, name))

    def _answer(self, asked: _Asked) -> None:
        self._delays.setdefault(asked.name, []).append(time.monotonic() - asked.began)
        try:
            asked.connection.send(_WELL)
        except OSError:
            self._delays[asked.name].pop()  # who asked has hung up
        asked.connection.close()


if __name__ == "__main__":
    SlowServer(int(sys.argv[1]), float(sys.argv[2])).serve()
