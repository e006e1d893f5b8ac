"""The one container of the demo's server: a real process with Docker's states and Docker's record of them."""

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.figures import figures_of
from demo.keeper import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
NEVER = "0001-01-01T00:00:00Z"
KEPT_LOG_LINES = 2000
LOST_POWER_STATUS = 255  # what dockerd notes for a container that it finds dead after an unclean boot
DEFAULT_STOP_SECONDS = 10.0
CPU_LIMIT = 1.0  # cores: it is kept to one of them
MEMORY_LIMIT = 256 << 20  # bytes
_LOOK_EVERY = 0.25  # seconds between two looks at its memory
LABELS = {"com.docker.compose.project": "demo", "com.docker.compose.service": "shop"}


@dataclass(frozen=True)
class LogLine:
    """One line that the container wrote."""

    time: str
    stream: str
    text: str


@dataclass
class Container:
    """A container without a restart policy; times are RFC 3339 as Docker writes them."""

    name: str
    host: str
    port: int
    folder: Path
    """What the container may write to: its volume."""
    memory_limit: int = MEMORY_LIMIT
    image: str = "demo/shop:1.0"
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    labels: Mapping[str, str] = field(default_factory=lambda: dict(LABELS))
    created_at: str = field(default_factory=lambda: now())
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    status: str = "created"
    starts: int = 0
    oom_killed: bool = False
    listeners: set[asyncio.Queue[str]] = field(default_factory=set)
    """Each is told of every event, as a line of `docker events --format '{{json .}}'`."""
    logs: deque[LogLine] = field(default_factory=lambda: deque(maxlen=KEPT_LOG_LINES))
    _process: asyncio.subprocess.Process | None = None
    _watcher: asyncio.Task[None] | None = None
    _confined: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self.status == "running"

    @property
    def pid(self) -> int:
        """Return the process id, 0 while it does not run (as Docker does)."""
        return self._process.pid if self._process and self.running else 0

    async def start(self) -> None:
        """Start it; does nothing when it runs, even if it hangs, as `docker start` does."""
        async with self._lock:
            if not self.running:
                await self._spawn()

    async def stop(self, grace: float = DEFAULT_STOP_SECONDS) -> None:
        """Send SIGTERM, wait `grace` seconds, then SIGKILL."""
        async with self._lock:
            await self._end(signal.SIGTERM, grace)

    async def restart(self, grace: float = DEFAULT_STOP_SECONDS) -> None:
        """Stop and start it; a stopped one is started."""
        async with self._lock:
            await self._end(signal.SIGTERM, grace)
            await self._spawn()
            self._tell("restart")

    async def lose_power(self) -> None:
        """End it as an unclean boot of its server does."""
        if self.running:
            await self._end(signal.SIGKILL, 0)
            self.exit_code = LOST_POWER_STATUS

    async def order(self, fault: str | None, seconds: float | None = None) -> None:
        """Tell the site which fault to have; does nothing when it does not run."""
        if self._process is None or self._process.stdin is None or not self.running:
            return
        line = json.dumps({"fault": fault, "seconds": seconds}) + "\n"
        with suppress(ConnectionError):
            self._process.stdin.write(line.encode())
            await self._process.stdin.drain()

    def record(self) -> dict[str, Any]:
        """Return what `docker inspect` shows of it, in Docker's shape."""
        return {
            "Id": self.id,
            "Created": self.created_at,
            "Path": "shop",
            "Args": [],
            "State": {
                "Status": self.status,
                "Running": self.running,
                "Paused": False,
                "Restarting": False,
                "OOMKilled": self.oom_killed,
                "Dead": False,
                "Pid": self.pid,
                "ExitCode": self.exit_code,
                "Error": "",
                "StartedAt": self.started_at,
                "FinishedAt": self.finished_at,
            },
            "Image": "sha256:" + self.id[::-1],
            "Name": f"/{self.name}",
            "RestartCount": 0,
            "HostConfig": {
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                "NanoCpus": round(CPU_LIMIT * 1e9),
                "Memory": self.memory_limit,
            },
            "Config": {"Image": self.image, "Labels": dict(self.labels)},
        }

    async def _spawn(self) -> None:
        argv = [sys.executable, "-m", "demo.app", "--host", self.host, "--port", str(self.port)]
        self._process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent(os.getpid()),
            start_new_session=True,
        )
        self.status, self.exit_code, self.started_at = "running", 0, now()
        self.oom_killed = self._confined = False
        self.starts += 1
        self._watcher = asyncio.create_task(self._watch(self._process))
        self._tell("start")

    async def _end(self, first: signal.Signals, grace: float) -> None:
        process, watcher = self._process, self._watcher
        if process is None or watcher is None or not self.running:
            return
        with suppress(ProcessLookupError):
            process.send_signal(first)
        if first is not signal.SIGKILL:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(watcher), grace)
        if self.running:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(watcher)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            asyncio.create_task(self._read(process.stdout, "stdout")),
            asyncio.create_task(self._read(process.stderr, "stderr")),
        ]
        warden = asyncio.create_task(self._hold_to_its_memory(process))
        code = await process.wait()
        warden.cancel()
        await asyncio.gather(*readers)
        self.status, self.finished_at = "exited", now()
        self.exit_code = code if code >= 0 else 128 - code
        self._tell("die", exitCode=str(self.exit_code))

    async def _hold_to_its_memory(self, process: asyncio.subprocess.Process) -> None:
        """Kill it when it has more than its limit, as the kernel does in a cgroup."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if figures_of(process.pid).memory > self.memory_limit:
                self.oom_killed = True
                self._tell("oom")
                with suppress(ProcessLookupError):
                    process.kill()
                return

    def _tell(self, action: str, **more: str) -> None:
        """Tell of an event in Docker's words."""
        attributes = {"name": self.name, "image": self.image, **self.labels, **more}
        actor = {"ID": self.id, "Attributes": attributes}
        line = json.dumps({"Type": "container", "Action": action, "Actor": actor, "timeNano": time.time_ns()})
        for listener in self.listeners:
            listener.put_nowait(line)

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while line := await stream.readline():
            if name == "stdout" and not self._confined:
                self._confined = True
                _keep_to_one_core(self.pid)
            self.logs.append(LogLine(now(), name, line.decode(errors="replace").rstrip("\n")))


def _keep_to_one_core(pid: int) -> None:
    """Confine a process and all its threads, once it runs: while it starts it has one thread only."""
    core = max(os.sched_getaffinity(0))
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def now() -> str:
    """Return the time as Docker writes it, with nanoseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
