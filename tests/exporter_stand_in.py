"""What the exporter would tell of one site, as a test wants it told: a page that can be changed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ExporterStandIn:
    """The state of the site `www`; `answering` False is an exporter that is gone."""

    port: int
    answering: bool = True
    group: str = "acme"
    after: float = 0.5
    reason: str | None = None
    failing_since: float | None = 0.0
    last_success: float | None = None
    present: bool = True
    expiry: float | None = None
    scrapes: int = field(default=0, init=False)

    def fails(self, reason: str) -> None:
        """Begin to fail, or go on for another reason."""
        self.reason = reason
        self.failing_since = self.failing_since or time.time()

    def succeeds(self) -> None:
        """Succeed once, and from then on."""
        self.reason, self.failing_since, self.last_success = None, 0.0, time.time()

    def starts_anew(self) -> None:
        """Forget what a process forgets: no result yet."""
        self.reason = self.failing_since = self.last_success = None

    def page(self) -> str:
        """Return the metrics."""
        key = 'site="www",instance="http://www.example/"'
        lines = ["sitemedic_config_last_reload_success_timestamp_seconds 1"]
        if self.present:
            labels = f'{key},part_of="www",severity="critical",group="{self.group}"'
            lines += [
                f"sitemedic_site_info{{{labels}}} 1",
                f"sitemedic_site_alert_after_seconds{{{key}}} {self.after}",
            ]
            for name, value in (
                ("sitemedic_failing_since_timestamp_seconds", self.failing_since),
                ("sitemedic_last_success_timestamp_seconds", self.last_success),
                ("probe_ssl_earliest_cert_expiry", self.expiry),
            ):
                if value is not None:
                    lines.append(f"{name}{{{key}}} {value}")
            if self.reason:
                lines.append(f'sitemedic_probe_failure{{{key},reason="{self.reason}"}} 1')
        return "\n".join(lines) + "\n"


@contextmanager
def exporter_stand_in() -> Iterator[ExporterStandIn]:
    """Serve the page until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/metrics/containers"):  # it has none
                body = b""
            else:
                exporter.scrapes += 1
                body = exporter.page().encode()
            self.send_response(200 if exporter.answering else 503)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    exporter = ExporterStandIn(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield exporter
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
