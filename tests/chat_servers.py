"""What stands for Slack, Telegram, ntfy, PagerDuty and a webhook: each as the service documents its API."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stack.settings import Settings
from tests.waiting import until

PLANTED = "pLaNtEd"
"""Stands in every secret of these services, and may stand nowhere else."""

SLACK = f"/services/T0/B0/{PLANTED}"
BOT = f"123456:{PLANTED * 5}"
CHAT = -1001234567890
TOPIC = f"/{PLANTED}-topic"
NTFY_TOKEN = f"tk_{PLANTED}"
WEBHOOK, WEBHOOK_PASSWORD = f"/{PLANTED}/alerts?from={PLANTED}", f"{PLANTED}-password"
ROUTING_KEY = (PLANTED * 5)[:32]
HEARTBEAT = f"/{PLANTED}-heartbeat"


@dataclass(frozen=True)
class Posted:
    """One request that was taken."""

    service: str
    body: dict[str, Any]
    query: dict[str, list[str]]


@dataclass
class Services:
    """The server's address and what its services took, in order."""

    url: str
    taken: list[Posted] = field(default_factory=list)

    def of(self, service: str, count: int = 1, seconds: float = 30) -> list[Posted]:
        """Return what a service took, once there is that much."""

        def found() -> list[Posted]:
            return [posted for posted in self.taken if posted.service == service]

        until(lambda: len(found()) >= count, seconds, f"{count} posts to {service}")
        return found()

    def environ(self) -> dict[str, str]:
        """Return the lines of .env that lead here, but for those that need `pointed`."""
        host = self.url.partition("//")[2]
        return {
            "SLACK_WEBHOOK_URL": f"{self.url}{SLACK}",
            "TELEGRAM": f"{BOT}@{CHAT}",
            "NTFY_URL": f"http://:{NTFY_TOKEN}@{host}{TOPIC}",
            "WEBHOOK_URL": f"http://me:{WEBHOOK_PASSWORD}@{host}{WEBHOOK}",
            "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
            "HEARTBEAT_URL": f"{self.url}{HEARTBEAT}",
        }

    def pointed(self, settings: Settings) -> Settings:
        """Return the settings with Telegram and PagerDuty at this server."""
        given = settings.receivers
        return replace(
            settings,
            receivers=replace(
                given,
                telegram=given.telegram and replace(given.telegram, api_url=self.url),
                pagerduty=given.pagerduty and replace(given.pagerduty, api_url=f"{self.url}/v2/enqueue"),
            ),
        )


Answer = tuple[int, str]


def answer(path: str, headers: Mapping[str, str], body: dict[str, Any]) -> tuple[str, Answer]:
    """Return which service a request is for, and what it answers."""
    if path.startswith("/services/"):
        return "slack", _slack(path, body)
    if path.startswith("/bot"):
        return "telegram", _telegram(path, body)
    if path.startswith("/v2/enqueue"):
        return "pagerduty", _pagerduty(body)
    if path.startswith(WEBHOOK.partition("?")[0]):
        login = base64.b64encode(f"me:{WEBHOOK_PASSWORD}".encode()).decode()
        return "webhook", (200, "") if headers.get("Authorization") == f"Basic {login}" else (401, "no")
    if path == HEARTBEAT:
        return "heartbeat", (200, "OK")
    return "ntfy", _ntfy(path, headers)


def _slack(path: str, body: dict[str, Any]) -> Answer:
    if path != SLACK:
        return 404, "no_service"
    good = all(isinstance(part.get("fallback"), str) for part in body["attachments"])
    return (200, "ok") if good else (400, "invalid_attachments")


def _telegram(path: str, body: dict[str, Any]) -> Answer:
    def error(code: int, description: str) -> Answer:
        return code, json.dumps({"ok": False, "error_code": code, "description": description})

    if path != f"/bot{BOT}/sendMessage":
        return error(401, "Unauthorized")
    if int(body["chat_id"]) != CHAT:
        return error(400, "Bad Request: chat not found")
    if not body["text"].strip() or len(body["text"]) > 4096:
        return error(400, "Bad Request: message text is empty or too long")
    message = {"message_id": 1, "date": 1, "chat": {"id": CHAT, "type": "supergroup"}, "text": body["text"]}
    return 200, json.dumps({"ok": True, "result": message})


def _pagerduty(body: dict[str, Any]) -> Answer:
    payload = body["payload"]
    wrong = [
        *(["Invalid routing key"] if body["routing_key"] != ROUTING_KEY else []),
        *(["'event_action' is missing"] if body["event_action"] not in ("trigger", "resolve") else []),
        *(["'severity' is invalid"] if payload["severity"] not in SEVERITIES else []),
        *(["'summary' is missing"] if not payload["summary"] or not payload["source"] else []),
    ]
    if wrong:
        return 400, json.dumps(
            {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
        )
    return 202, json.dumps(
        {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}
    )


SEVERITIES = ("critical", "error", "warning", "info")


def _ntfy(path: str, headers: Mapping[str, str]) -> Answer:
    if headers.get("Authorization") != f"Bearer {NTFY_TOKEN}":
        return 403, json.dumps({"code": 40301, "http": 403, "error": "forbidden"})
    if path != TOPIC:
        return 404, json.dumps({"code": 40401, "http": 404, "error": "page not found"})
    return 200, json.dumps({"id": "x", "event": "message"})


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


@contextmanager
def chat_services() -> Iterator[Services]:
    """Run all of them until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            parts = urlsplit(self.path)
            service, (code, text) = answer(parts.path, self.headers, body)
            if code < 300:
                services.taken.append(Posted(service, body, parse_qs(parts.query)))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    services = Services(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
