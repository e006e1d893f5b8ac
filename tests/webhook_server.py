"""A webhook receiver for a test: keeps what Alertmanager posts."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    authorization: str | None
    payload: dict[str, Any]


@dataclass
class Webhook:
    """The receiver's port and what it was sent, in order."""

    port: int
    requests: list[Posted] = field(default_factory=list)

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """Return all alerts of this status that were posted."""
        return [
            alert
            for posted in self.requests
            for alert in posted.payload["alerts"]
            if alert["status"] == status
        ]


class _Server(ThreadingHTTPServer):
    request_queue_size = (
        1024  # Alertmanager posts of all sites at once; a full queue makes the kernel drop some
    )


@contextmanager
def webhook_server() -> Iterator[Webhook]:
    """Answer 200 to every POST until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.requests.append(Posted(self.path, self.headers.get("Authorization"), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    webhook = Webhook(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
