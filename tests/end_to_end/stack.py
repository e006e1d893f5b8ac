"""The launcher's own processes for a test: `./sitemedic …` in a folder and on ports of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
_PORTS = ("EXPORTER", "PROMETHEUS", "ALERTMANAGER", "REMEDIATOR")
_DEMO_PORTS = ("DEMO_SITE", "DEMO_SSH", "DEMO_CONTROL", "DEMO_LINODE", "DEMO_SMTP", "DEMO_MAILBOX")
_OURS = ("SMTP_", "LINODE_", "WEBHOOK_", "API_", "CONSOLE_", "PUBLIC_URL")


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without anything that a stack would read, plus `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def run(
    *arguments: str, folder: Path, seconds: float = 60, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; standard error goes with standard output."""
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        check=False,
        cwd=folder,
        env=clean_environment(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )


@dataclass
class Up:
    """A running `up`: its folder, its process, and the ports that it was given."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    environ: Mapping[str, str]
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def said(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service.upper()]}"

    def get(self, service: str, path: str, **parameters: str) -> Any:
        headers = {"Authorization": f"Bearer {self.api_token()}"} if service == "remediator" else {}
        answer = requests.get(f"{self.url(service)}{path}", params=parameters, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def api_token(self) -> str:
        """Return what `up` made where the environment gives none."""
        if given := self.environ.get("API_TOKEN"):
            return given
        (made,) = (self.folder / "data").glob("**/secrets/api_token")
        return made.read_text().strip()

    def incidents(self) -> list[dict[str, Any]]:
        found = self.get("remediator", "/api/v1/incidents")["incidents"]
        assert isinstance(found, list)
        return found

    def incident(self, number: int) -> dict[str, Any]:
        found = self.get("remediator", f"/api/v1/incidents/{number}")
        assert isinstance(found, dict)
        return found

    def alerts(self) -> list[str]:
        """Return the names of the alerts that Prometheus fires, without the watchdog."""
        alerts = self.get("prometheus", "/api/v1/alerts")["data"]["alerts"]
        firing = [one["labels"]["alertname"] for one in alerts if one["state"] == "firing"]
        return [name for name in firing if name != "Watchdog"]

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[Up]:
    """Start a stack in `folder` and wait until it says that it is ready."""
    ports = {name: free_port() for name in _PORTS + _DEMO_PORTS}
    environ = {**environ, **{f"{name}_PORT": str(port) for name, port in ports.items()}}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack", "up"],
            cwd=folder,
            env=clean_environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Up(folder, process, environ, ports)
    try:
        until(lambda: _ready(running), 90, "the stack to be up")
        yield running
    finally:
        if process.poll() is None:
            running.interrupt()


def _ready(running: Up) -> bool:
    if running.process.poll() is not None:
        raise RuntimeError(f"up has ended: {running.said}")
    return "Ctrl-C stops everything" in running.said


def left_behind(running: Up) -> list[str]:
    """Return the command lines that still name the stack's folder, and its ports that still listen."""
    found = [f"port {port} ({name})" for name, port in running.ports.items() if _listens(port)]
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(running.folder) in line:
            found.append(line)
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
