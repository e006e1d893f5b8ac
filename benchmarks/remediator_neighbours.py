"""What a remediator asks, in one lean process: an exporter's API, and an Alertmanager without a mail.

`POST /failing` with a JSON list of names says which sites fail from then on. A site `site-N` exists up to
the number that the process was started with.
"""

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

_METRICS = (
    "process_start_time_seconds 1\nalertmanager_config_hash 1\n"
    'alertmanager_notifications_total{integration="email"} 0\n'
    'alertmanager_notifications_failed_total{integration="email",reason="other"} 0\n'
    'alertmanager_notification_requests_total{integration="email"} 0\n'
    'alertmanager_notification_requests_failed_total{integration="email"} 0\n'
)
_STATUS = {"config": {"original": "receivers:\n- name: x\n  webhook_configs:\n"}}


class Neighbours:
    """The sites, and what is asked about them."""

    def __init__(self, sites: int) -> None:
        self.names = [f"site-{number}" for number in range(sites)]
        self.known = frozenset(self.names)
        self.failing: dict[str, float] = {}
        self._listed: bytes | None = None

    def answer(self, target: str, body: bytes) -> bytes:
        """Return the body of the answer; every answer is a 200."""
        parts = urlsplit(target)
        match parts.path:
            case "/probe":
                return json.dumps(self._probe(parse_qs(parts.query)["site"][0])).encode()
            case "/api/v1/sites":
                return self._list()
            case "/api/v1/canaries":
                return b'{"canaries": [{"target": "tcp://canary.example:443", "success": true}]}'
            case "/failing":
                since = time.time() - 30
                self.failing = {name: self.failing.get(name, since) for name in json.loads(body)}
                self._listed = None
                return b"{}"
            case "/metrics":
                return _METRICS.encode()
            case "/api/v2/status":
                return json.dumps(_STATUS).encode()
        return b"[]"

    def _probe(self, site: str) -> dict[str, object]:
        fails = site in self.failing
        return {
            "site": site, "success": not fails, "reason": "status" if fails else None,
            "detail": "answered 500" if fails else "", "status_code": 500 if fails else 200,
            "duration_seconds": 0.012,
        }  # fmt: skip

    def _list(self) -> bytes:
        if self._listed is None:
            self._listed = json.dumps({"sites": [self._state(name) for name in self.names]}).encode()
        return self._listed

    def _state(self, name: str) -> dict[str, object]:
        since = self.failing.get(name)
        return {
            "site": name, "part_of": name, "server": None, "group": "acme",
            "instance": f"https://{name}.example/", "severity": "critical", "success": since is None,
            "reason": "status" if since else None, "detail": "answered 500" if since else "",
            "last_probe": time.time(), "last_success": since or time.time(), "failing_since": since or 0,
            "duration_seconds": 0.012, "stale": False, "interval_seconds": 60, "next_probe": time.time() + 60,
        }  # fmt: skip


class _Connection(asyncio.Protocol):
    """Speaks as much HTTP as the remediator does: bodies with a length, connections that stay."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._given = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own, which is no subclass.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._given += data
        while (end := self._given.find(b"\r\n\r\n")) >= 0:
            head = self._given[:end].decode("latin-1")
            length = _length(head)
            if len(self._given) < end + 4 + length:
                return
            body, self._given = self._given[end + 4 : end + 4 + length], self._given[end + 4 + length :]
            found = self._neighbours.answer(head.split(" ", 2)[1], body)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(found) + found)


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def _serve(port: int, sites: int) -> None:
    neighbours = Neighbours(sites)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(neighbours), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
