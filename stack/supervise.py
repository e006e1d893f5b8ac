"""Start services in order, keep them running, stop them in the reverse order."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from threading import Event

from core.files import unwritable
from stack.errors import StackError
from stack.masking import Mask, written
from stack.processes import kill_session, reap_orphans, start

_BACKOFF = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)  # seconds before each next start of a service that dies
_SETTLED = 60.0  # a service that ran this long starts the backoff afresh
_LOG_LIMIT = 50 * 1024 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """A process to run, and how to see that it is healthy. `address` is for people; may be empty.

    What it writes is masked by the secrets in `masked`, a folder.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    healthy: Callable[[], bool] = field(compare=False)
    address: str = ""
    patience: float = 30.0  # seconds until it must be healthy
    stops_within: float = 10.0  # seconds after TERM until KILL
    masked: Path | None = None


@dataclass
class _Run:
    service: Service
    process: Popen[bytes]
    since: float
    deaths: int = 0
    again_at: float | None = None  # set while it is down and waits for its next start


class Supervisor:
    """The running services. One thread uses it; `stopping` makes every wait in it end early."""

    def __init__(self, say: Say, stopping: Event) -> None:
        self._say = say
        self._stopping = stopping
        self._runs: list[_Run] = []
        self._killed = False

    def start(self, service: Service) -> None:
        """Start `service` and wait until it is healthy.

        Raises StackError, with its last words, when it ends or is not healthy in time.
        """
        service.log.parent.mkdir(parents=True, exist_ok=True)
        keep_small(service.log)
        try:
            process = _started(service, service.log)
        except OSError as error:
            raise StackError(f"{service.name} cannot be started: {error}") from error
        run = _Run(service, process, time.monotonic())
        self._runs.append(run)
        self._wait_healthy(run)

    def tend(self) -> None:
        """Start again what has died, each with a growing pause. Call it a few times a second."""
        now = time.monotonic()
        for run in self._runs:
            if run.again_at is not None:
                if now >= run.again_at:
                    self._start_again(run, now)
            elif run.process.poll() is not None:
                self._note_death(run, now)
        reap_orphans([run.process.pid for run in self._runs])

    def replace(self, service: Service) -> None:
        """Stop the running service of that name and start it as `service` says now."""
        run = next(run for run in self._runs if run.service.name == service.name)
        self._stop_one(run)
        run.service, run.deaths = service, 0
        self._start_again(run, time.monotonic())

    def services(self) -> tuple[Service, ...]:
        """Return what is run, in the order of the start."""
        return tuple(run.service for run in self._runs)

    def pids(self) -> dict[str, int]:
        """Return each service's process id."""
        return {run.service.name: run.process.pid for run in self._runs}

    def stop(self) -> None:
        """Stop every service, the last started first; kill one that takes too long."""
        while self._runs:
            run = self._runs[-1]
            self._stop_one(run)
            self._runs.pop()

    def kill(self) -> None:
        """Kill every service at once. Safe to call from a signal handler."""
        self._killed = True
        for run in self._runs:
            if run.again_at is None:
                kill_session(run.process.pid)

    def _wait_healthy(self, run: _Run) -> None:
        service = run.service
        deadline = run.since + service.patience
        while not self._stopping.is_set():
            if run.process.poll() is not None:
                raise _failed(run, f"ended at its start ({_how(run.process.returncode)})")
            if service.healthy():
                return
            if time.monotonic() > deadline:
                raise _failed(run, f"is not healthy after {service.patience:g} s")
            self._stopping.wait(0.1)

    def _note_death(self, run: _Run, now: float) -> None:
        if now - run.since >= _SETTLED:
            run.deaths = 0
        pause = _BACKOFF[min(run.deaths, len(_BACKOFF) - 1)]
        run.deaths += 1
        run.again_at = now + pause
        kill_session(run.process.pid)  # a child of it may still hold its port
        how = _how(run.process.returncode)
        self._say(
            f"{run.service.name} died ({how}); starting again in {pause:g} s. Its log: {run.service.log}"
        )

    def _start_again(self, run: _Run, now: float) -> None:
        keep_small(run.service.log)
        log = self._log_of(run.service)
        try:
            run.process = _started(run.service, log)
        except OSError as error:
            run.deaths += 1
            run.again_at = now + _BACKOFF[-1]
            self._say(f"{run.service.name} cannot be started: {error}; trying again in {_BACKOFF[-1]:g} s")
            return
        run.since, run.again_at = now, None
        if run.deaths:
            self._say(f"{run.service.name} started again")

    def _log_of(self, service: Service) -> Path:
        """Return where its output goes: nowhere while a sick disk takes no log."""
        try:
            service.log.open("ab").close()
        except OSError as error:
            self._say(f"{service.log} cannot be written: {unwritable(error, service.log)}. "
                      f"Without it {service.name} goes on, until it is started again")  # fmt: skip
            return Path(os.devnull)
        return service.log

    def _stop_one(self, run: _Run) -> None:
        if run.again_at is not None:
            return  # dead since a while: its number may be another's by now
        if run.process.poll() is None:
            run.process.terminate()
            deadline = time.monotonic() + run.service.stops_within
            while run.process.poll() is None:
                if self._killed:
                    break
                if time.monotonic() > deadline:
                    self._say(f"{run.service.name} did not stop in time: killed")
                    break
                time.sleep(0.02)
        kill_session(run.process.pid)
        run.process.wait()


def _started(service: Service, log: Path) -> Popen[bytes]:
    mask = Mask(service.masked) if service.masked else None
    return start(service.argv, service.env, service.cwd, log, mask)


def keep_small(log: Path, limit: int = _LOG_LIMIT) -> None:
    """Move a log's content to NAME.log.1 past `limit` bytes; its writer appends, so it may be running.

    It stays as it is where the disk has no room for that.
    """
    older = log.with_name(f"{log.name}.1")
    try:
        if log.exists() and log.stat().st_size > limit:
            older.write_bytes(log.read_bytes())
            with log.open("r+b") as file:
                file.truncate(0)
    except OSError:
        with suppress(OSError):
            older.unlink(missing_ok=True)  # a part of it would take the last room


def _failed(run: _Run, what: str) -> StackError:
    service, deadline = run.service, time.monotonic() + 1.0
    while run.process.poll() is not None and not written(run.process) and time.monotonic() < deadline:
        time.sleep(0.01)
    return StackError(f"{service.name} {what}:\n{_tail(service.log)}\n  The whole of it: {service.log}")


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _tail(log: Path, lines: int = 8) -> str:
    """Return the last lines that a service wrote, indented."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return "  (it wrote nothing)"
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:]) or "  (it wrote nothing)"
