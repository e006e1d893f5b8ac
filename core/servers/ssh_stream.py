"""A command over SSH whose output is taken as it comes: for long answers, and for those without an end."""

from __future__ import annotations

import contextlib
import time

import paramiko

from core.servers.server import Closing

_PIECE = 65536
_STATUS_SECONDS = 5.0


class SshStream(Closing):
    """One running command. Its input stays open until `close`: a command can wait for that and end itself.

    What it says on stderr is kept by the connection, some 2 MiB at most; one that says more stands still.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def read(self, seconds: float | None = None) -> bytes:
        """Return the next piece; b"" once it has ended, or the connection has.

        Raises TimeoutError after `seconds` without a piece.
        """
        self._channel.settimeout(seconds)
        return self._channel.recv(_PIECE)

    def read_all(self, seconds: float, most: int) -> bytes:
        """Return everything until its end; raise TimeoutError past `seconds`, ValueError past `most`."""
        deadline = time.monotonic() + seconds
        kept = bytearray()
        while piece := self.read(max(0.001, deadline - time.monotonic())):
            kept += piece
            if len(kept) > most:
                raise ValueError(f"more than {most} bytes")
            if time.monotonic() >= deadline:
                raise TimeoutError
        return bytes(kept)

    def exit_status(self) -> int:
        """Return how it ended; −1: the connection was lost, and nobody knows."""
        self._channel.status_event.wait(_STATUS_SECONDS)
        return self._channel.recv_exit_status() if self._channel.exit_status_ready() else -1

    def stderr(self) -> str:
        """Return the beginning of what it has said there."""
        said = self._channel.recv_stderr(_PIECE) if self._channel.recv_stderr_ready() else b""
        return said.decode("utf-8", "replace")

    def close(self) -> None:
        """End it, as far as it ends when nobody listens; never raises."""
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):  # the connection has ended first
            self._channel.close()
