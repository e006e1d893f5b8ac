"""GET over connections that are kept, at a tenth of what a session of requests costs."""

from __future__ import annotations

import http.client
import threading
import weakref
from urllib.parse import urlencode, urlsplit

CONNECT_TIMEOUT = 2.0


class KeptHttp:
    """One server that is asked again and again; each thread keeps a connection of its own.

    Follows no redirect and knows no proxy. Raises OSError and http.client.HTTPException.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url.rstrip("/"))
        self._local = threading.local()

    def get(self, path: str, query: dict[str, str], timeout: float, most: int) -> tuple[int, bytes]:
        """Return status and body, of which `most` bytes and one are read; `timeout` is for each wait."""
        target = f"{self._parts.path}{path}" + (f"?{urlencode(query)}" if query else "")
        kept: _Connection | None = self._local.__dict__.pop("kept", None)
        if kept is not None:
            try:
                return self._ask(kept, target, timeout, most)
            except ConnectionError:
                pass  # the server has closed it meanwhile
        return self._ask(_Connection(self._connect()), target, timeout, most)

    def _connect(self) -> http.client.HTTPConnection:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=CONNECT_TIMEOUT)
        connection.connect()
        return connection

    def _ask(self, kept: _Connection, target: str, timeout: float, most: int) -> tuple[int, bytes]:
        connection = kept.connection
        connection.sock.settimeout(timeout)
        connection.request("GET", target, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(most + 1)
        if answer.isclosed() and not answer.will_close:  # read to its end
            self._local.kept = kept
        return answer.status, body


class _Connection:
    """Closes its connection when nobody keeps it any more: a thread ends, or an answer was cut off."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        weakref.finalize(self, connection.close)
