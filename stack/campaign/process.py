"""The remediator as a process of its own: started, killed, started again, and its clock set."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import requests

from stack.campaign.ledger import Kind, Ledger
from stack.processes import start

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ("-m", "stack.campaign.launch")
END_SECONDS = 12.0


def free_port() -> int:
    """Return a port below those of outgoing connections: it must stay free while the remediator is dead."""
    while True:
        port = random.randrange(10240, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """One remediator. `keep` belongs to the thread that lives longest: a process dies with its thread."""

    def __init__(
        self, ledger: Ledger, folder: Path, arguments: Sequence[str], env: Mapping[str, str],
        launcher: Sequence[str] = LAUNCHER,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("d", 0.0))
        self.log = folder / "remediator.log"
        self._argv = [sys.executable, *launcher, str(self._clock), "remediator", *arguments]
        self._env = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._killed = False
        self.excused = threading.Event()
        """Set while it may end by itself, as when the database cannot be opened at a start."""
        self.kills = 0
        self._began = 0.0

    def keep(self) -> None:
        """Start it where it does not run."""
        with self._lock:
            if self._process is not None:
                code = self._process.poll()
                if code is None:
                    return
                if not self._killed:
                    excused = self.excused.is_set()
                    self._ledger.add(Kind.PROCESS, "ended", code=code, excused=excused)
            self._killed = False
            self._began = time.monotonic()
            self._process = start(self._argv, self._env, ROOT, self.log)
        self._ledger.add(Kind.PROCESS, "started", pid=self._process.pid)

    def kill(self) -> None:
        """Kill it as a machine without power would."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            self._killed = True
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.kills += 1
        self._ledger.add(Kind.PROCESS, "killed")

    def end(self) -> None:
        """Ask it to end, and say how long that took; a process that does not end is killed and told of."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or process.poll() is not None:
                return
            begun = time.monotonic()
            process.terminate()
            try:
                code = process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        took, age = round(time.monotonic() - begun, 2), round(begun - self._began, 1)
        self._ledger.add(Kind.PROCESS, "stopped", code=code, seconds=took, age=age)

    def set_clock(self, seconds: float) -> None:
        """Set its machine's clock, off by this much."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))


class API:
    """The remediator's API, asked as people's tools do; None where it does not answer."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: object = None) -> requests.Response | None:
        """Ask once."""
        with suppress(requests.RequestException):
            return requests.request(
                method, f"{self._url}{path}", json=body, headers=self._headers, timeout=(1.0, 4.0)
            )
        return None

    def insist(self, method: str, path: str, body: object = None, seconds: float = 30.0) -> bool:
        """Ask until the answer is a good one; tell whether it came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.ask(method, path, body)
            if answer is not None and answer.status_code == 200:
                return True
            time.sleep(0.2)
        return False

    def question(self, site: str) -> int | None:
        """Return the open question to people about a site."""
        answer = self.ask("GET", "/api/v1/approvals")
        if answer is None or answer.status_code != 200:
            return None
        return next((one["id"] for one in answer.json()["approvals"] if one["site"] == site), None)

    def open_sites(self) -> set[str] | None:
        """Return the sites with an open incident, None where it does not tell."""
        answer = self.ask("GET", "/api/v1/incidents?state=open")
        if answer is None or answer.status_code != 200:
            return None
        return {one["site"] for one in answer.json()["incidents"]}
