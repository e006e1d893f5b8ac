"""A cable between a client and a server on 127.0.0.1: what goes through it stops when it is cut."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Cable:
    """Carries connections on `port` to `to`; once cut, they stay open and nothing gets through."""

    to: int
    port: int = 0
    whole: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        self.whole.clear()

    def mend(self) -> None:
        self.whole.set()

    def carry(self, listening: socket.socket) -> None:
        while not self.ended.is_set():
            with suppress(TimeoutError):
                here, _ = listening.accept()
                threading.Thread(target=self._connection, args=(here,), daemon=True).start()

    def _connection(self, here: socket.socket) -> None:
        with here, suppress(OSError):
            while not self.whole.wait(0.1):
                if self.ended.is_set():
                    return
            with socket.create_connection(("127.0.0.1", self.to), 5) as there:
                self._both_ways(here, there)

    def _both_ways(self, here: socket.socket, there: socket.socket) -> None:
        with selectors.DefaultSelector() as waiting:
            for one in (here, there):
                waiting.register(one, selectors.EVENT_READ)
            while not self.ended.is_set():
                for key, _ in waiting.select(0.1):
                    assert isinstance(key.fileobj, socket.socket)
                    if not self.whole.wait(0.05):
                        continue
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    (there if key.fileobj is here else here).sendall(data)


@contextmanager
def cable(to: int) -> Iterator[Cable]:
    """Lay a cable to a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        laid = Cable(to, listening.getsockname()[1])
        laid.mend()
        thread = threading.Thread(target=laid.carry, args=(listening,), daemon=True)
        thread.start()
        try:
            yield laid
        finally:
            laid.ended.set()
            thread.join(5)
