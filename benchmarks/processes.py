"""Processes of a benchmark: started, waited for, looked at through /proc, and ended by their own id.

ProcessError        a process ended, or did not listen in time; says how its log ends
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_ENDS_WITHIN = 10.0


class ProcessError(Exception):
    """A process ended, or did not listen in time; says how its log ends."""


@dataclass(frozen=True)
class Process:
    """A process that listens on a port of 127.0.0.1."""

    name: str
    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return the user and system time of all its threads so far, to a hundredth (/proc/PID/stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Return the memory it holds now (/proc/PID/statm)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]) * _PAGE_SIZE

    def most_resident_bytes(self) -> int:
        """Return the most memory that it has held (/proc/PID/status)."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def stolen_seconds() -> float:
    """Return the time so far that other machines had this one's processors, as Linux has it (/proc/stat)."""
    line = Path("/proc/stat").read_text("ascii").splitlines()[0].split()
    return int(line[8]) / _TICKS if len(line) > 8 else 0.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run `command`, whose log goes to `folder`, from when it listens on `port` to the end of the block.

    Raises ProcessError.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _wait_until_it_listens(process, name, port, log)
        yield Process(name, process.pid, port)
        if process.poll() is not None:
            raise ProcessError(f"{name} ended with {process.returncode} in mid-measurement:\n{_tail(log)}")
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], name: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ProcessError(f"{name} ended with {process.returncode}:\n{_tail(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ProcessError(f"{name} did not listen within 60 s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-2000:]
