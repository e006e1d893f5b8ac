"""A real exporter for a test, and a site that answers as it is told."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.ports import free_port
from tests.service import Service
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Exporter(Service):
    """A running exporter."""

    config: Path

    def write(self, text: str | dict[str, Any]) -> None:
        """Replace its configuration as editors do: by a new file of the same name."""
        write(self.config, text)

    def site(self, name: str) -> dict[str, Any]:
        """Return what it knows of one site."""
        found: dict[str, Any] = next(
            site for site in self.get("/api/v1/sites").json()["sites"] if site["site"] == name
        )
        return found

    def names(self) -> list[str]:
        """Return the names of all its sites."""
        return [site["site"] for site in self.get("/api/v1/sites").json()["sites"]]

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text()


def write(path: Path, text: str | dict[str, Any]) -> None:
    """Write a file in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    fresh.replace(path)


@contextmanager
def exporter(
    folder: Path, configuration: str | dict[str, Any], *flags: str, program: Sequence[str] = ("exporter",)
) -> Iterator[Exporter]:
    """Run an exporter until the block ends; `program` ("stack", "exporter") reads a whole sites.yml."""
    config = folder / "sites.yml"
    write(config, configuration)
    port = free_port()
    log = folder / "exporter.log"
    command = [sys.executable, "-m", *program, f"--config.file={config}", *flags]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=output, cwd=ROOT
        )
    running = Exporter(f"http://127.0.0.1:{port}", process, log, config)
    try:
        until(lambda: _ready(running), 60, f"the exporter to be ready (its log: {log})")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _ready(running: Exporter) -> bool:
    if running.process.poll() is not None:
        raise RuntimeError(f"it has ended with {running.process.returncode}: {running.said()[-2000:]}")
    return requests.get(f"{running.url}/-/ready", timeout=2).status_code == 200


@dataclass
class Site:
    """A site on loopback; what it answers can be changed at any time."""

    port: int
    status: int = 200
    body: str = "Welcome"
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)
    """When it was asked (monotonic)."""

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def site() -> Iterator[Site]:
    """Run such a site until the block ends."""
    told = Site(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(time.monotonic())
            if told.delay:
                time.sleep(told.delay)
            body = told.body.encode()
            try:
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

    server = Server(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
