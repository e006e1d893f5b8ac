"""The remediator as a process of its own: started, killed, started again, and its clock set. Linux only."""

from __future__ import annotations

import os
import random
import select
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
    """One remediator, and the launcher that it is forked from."""

    def __init__(
        self, ledger: Ledger, folder: Path, arguments: Sequence[str], env: Mapping[str, str],
        launcher: Sequence[str] = LAUNCHER,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("d", 0.0))
        self.log = folder / "remediator.log"
        self._lock = threading.Lock()
        self._running: tuple[int, int] | None = None
        """Its pid, and a descriptor that becomes readable when it ends."""
        self._killed = False
        self._excused_until = 0.0
        self.kills = 0
        argv = [sys.executable, *launcher, str(self._clock), str(self.log), "remediator", *arguments]
        with self.log.open("ab") as output:
            self._launcher = subprocess.Popen(
                argv, env={**os.environ, **env, "PYTHONPATH": str(ROOT)}, cwd=ROOT, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
            )  # fmt: skip

    def keep(self) -> None:
        """Start it where it does not run."""
        with self._lock:
            if self._running is not None:
                if not self._ended(0.0):
                    return
                code = self._code()
                if not self._killed:
                    excused = time.monotonic() < self._excused_until
                    self._ledger.add(Kind.PROCESS, "ended", code=code, excused=excused)
            self._killed = False
            pid = self._order("start")
            self._running = pid, os.pidfd_open(pid)
        self._ledger.add(Kind.PROCESS, "started", pid=pid)

    def excuse(self, seconds: float) -> None:
        """Let it end by itself for so long, as when the database cannot be used at a start."""
        self._excused_until = time.monotonic() + seconds

    def kill(self) -> None:
        """Kill it as a machine without power would."""
        with self._lock:
            if self._running is None or self._ended(0.0):
                return
            self._killed = True
            os.kill(self._running[0], signal.SIGKILL)
            self._ended(END_SECONDS)
            self.kills += 1
        self._ledger.add(Kind.PROCESS, "killed")

    def end(self) -> None:
        """Ask it to end, and tell how long that took; one that does not end is killed."""
        with self._lock:
            if self._running is not None and not self._ended(0.0):
                begun = time.monotonic()
                os.kill(self._running[0], signal.SIGTERM)
                if not self._ended(END_SECONDS):
                    os.kill(self._running[0], signal.SIGUSR1)  # its log tells what it waits for
                    self._ended(1.0)
                    os.kill(self._running[0], signal.SIGKILL)
                took = round(time.monotonic() - begun, 2)
                self._ledger.add(Kind.PROCESS, "stopped", code=self._code(), seconds=took)
            if self._launcher.stdin is not None:
                self._launcher.stdin.close()
            self._launcher.kill()
            self._launcher.wait()
            if self._launcher.stdout is not None:
                self._launcher.stdout.close()

    def set_clock(self, seconds: float) -> None:
        """Set its machine's clock, off by this much."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))

    def _ended(self, within: float) -> bool:
        assert self._running is not None
        return bool(select.select([self._running[1]], [], [], within)[0])

    def _code(self) -> int:
        """Reap it; return how it ended."""
        assert self._running is not None
        pid, descriptor = self._running
        self._running = None
        os.close(descriptor)
        return self._order(f"wait {pid}")

    def _order(self, line: str) -> int:
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        self._launcher.stdin.write(f"{line}\n")
        self._launcher.stdin.flush()
        return int(self._launcher.stdout.readline())


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
