"""Keeps a process and all that comes of it: when the keeper is stopped or its parent dies, nothing is left.

sshd puts every connection into a session of its own, so killing a process group does not reach them. The
keeper is the subreaper of its child: whatever the child leaves behind falls to the keeper, which kills it.

Run as a script (`python -I -S keeper.py PARENT_PID ARGV…`), therefore of the standard library alone.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, with_signal: int = signal.SIGKILL) -> Callable[[], None]:
    """Make a `preexec_fn` that has the kernel send `with_signal` when `parent` ends (prctl(2))."""

    def arm() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def descendants(pid: int) -> list[int]:
    """List the living descendants of a process, parents before their children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        parent = _living_parent(entry) if entry.name.isdigit() else None
        if parent is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def send(pids: Sequence[int], number: int) -> None:
    """Send a signal to processes of which some may already be gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _living_parent(process: Path) -> int | None:
    try:
        text = (process / "stat").read_text(encoding="utf-8", errors="replace")
        state, parent = text.rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(parent)


def _kill_all(seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while (living := descendants(os.getpid())) and time.monotonic() < deadline:
        send(living, signal.SIGKILL)
        time.sleep(0.005)


def _stop(number: int, _frame: FrameType | None) -> None:
    _kill_all()
    os._exit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """Run the command until it ends or the keeper is told to stop; return the command's exit status."""
    parent, *argv = arguments
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    die_with_parent(int(parent), signal.SIGTERM)()
    child = subprocess.Popen(argv, preexec_fn=die_with_parent(os.getpid()), stdin=subprocess.DEVNULL)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            _kill_all()
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
