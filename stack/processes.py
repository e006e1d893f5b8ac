"""Processes that never outlive the one that started them.

Linux kills them with their parent (PR_SET_PDEATHSIG), and `guarded` covers what that leaves: a small
outer process adopts every orphan of the inner one, and kills what is left when that ends, however it
ends.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stack.masking import Mask, copy_masked

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None, use_errno=True)
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, mask: Mask | None = None
) -> "subprocess.Popen[bytes]":
    """Start `argv` as the leader of its own session, its output appended to `log`, through `mask`.

    It is killed when the calling process dies. Raises OSError when it cannot be started.
    """
    parent = os.getpid()
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if mask else output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent, signal.SIGKILL),
        )
    if mask:
        copy_masked(process, log, mask)
    return process


def kill_session(leader: int) -> None:
    """Kill whatever is left of the process group that `leader` leads or led."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def guarded(work: Callable[[], int]) -> int:
    """Run `work` in a process below this one and return its exit status; leave no process behind.

    INT, TERM and HUP are passed on. When this process is killed, the inner one gets a TERM and stops
    in order; when the inner one is killed, everything below it is.
    """
    if not sys.platform.startswith("linux"):
        return work()
    with suppress(OSError):  # nobody reads what is said: no reason to end
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    outer = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # none may fall between the fork and its handler
    inner = os.fork()
    if inner == 0:
        os.setpgid(0, 0)  # a terminal's Ctrl-C comes once, passed on by the outer process
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _die_with(outer, signal.SIGTERM)
        try:
            return work()
        finally:
            kill_descendants()
    handle_stops(lambda received, _: _pass_on(inner, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    try:
        return _reap_until(inner)
    finally:
        kill_descendants()


def reap_orphans(known: Container[int]) -> None:
    """Reap ended processes that fell to this one; leave those in `known` to who started them."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, 0)


def handle_stops(handler: Callable[[int, object], None]) -> None:
    """Have INT, TERM and HUP handled; a HUP that is ignored (nohup) stays so."""
    for number in _PASSED_ON:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def unblock_signals() -> None:
    """Let INT, TERM and HUP through again: the inner process calls it once its handlers stand."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, children first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, ()))
    for one in found:  # grows while it is walked: breadth first
        found.extend(children.get(one, ()))
    return found


def kill_descendants(seconds: float = 5.0) -> None:
    """Kill every process below this one, also those that appear meanwhile, and reap them."""
    deadline = time.monotonic() + seconds
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _die_with(parent: int, number: int) -> None:
    """Ask for signal `number` when the parent dies; end now when it has died already."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def _pass_on(inner: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(inner, number)


def _reap_until(inner: int) -> int:
    """Reap the inner process and every orphan that falls to this one; return the inner's status."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == inner:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
