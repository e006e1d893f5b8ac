"""Run commands on this machine: for a server with `docker: local`."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from core.servers.output import CappedOutput
from core.servers.server import ActionError, CommandResult, Connector, Reason


class LocalConnector(Connector):
    """Runs argument lists as they are: no shell in between."""

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        """Run one argument list; raise ActionError(timeout) and end it when it does not end by itself."""
        process = _start(argv)
        try:
            kept, errors = _drain(process, argv, time.monotonic() + timeout)
        finally:
            _end(process)
        truncated = kept.truncated or errors.truncated
        return CommandResult(process.returncode, kept.text, errors.text, truncated)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        problem = f"{argv[0]} is not installed on this machine"
        raise ActionError(problem, reason=Reason.COMMAND_FAILED, permanent=True) from error
    except OSError as error:
        problem = f"cannot run {argv[0]} on this machine: {error.strerror}"
        raise ActionError(problem, reason=Reason.COMMAND_FAILED, permanent=True) from error


def _drain(
    process: subprocess.Popen[bytes], argv: Sequence[str], deadline: float
) -> tuple[CappedOutput, CappedOutput]:
    assert process.stdout is not None
    assert process.stderr is not None
    streams: dict[IO[bytes], CappedOutput] = {
        process.stdout: CappedOutput(),
        process.stderr: CappedOutput(),
    }
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise _too_long(argv)
            for key, _ in selector.select(min(remaining, 1.0)):
                assert not isinstance(key.fileobj, int)
                piece = os.read(key.fd, 65536)
                if piece:
                    streams[key.fileobj].add(piece)  # type: ignore[index]
                else:
                    selector.unregister(key.fileobj)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise _too_long(argv) from error
    return streams[process.stdout], streams[process.stderr]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _too_long(argv: Sequence[str]) -> ActionError:
    problem = f"`{' '.join(argv[:2])}` on this machine did not end in time"
    return ActionError(problem, reason=Reason.TIMEOUT)
