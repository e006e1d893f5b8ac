"""`--results.file`: one JSON line per probe, written beside the loop; a sick disk never stops probing."""

import contextlib
import logging
import os
import threading
from collections import deque
from pathlib import Path

from core.files import unwritable
from core.logs import fields
from exporter.health import Health

_log = logging.getLogger(__name__)

FLUSH_EVERY = 0.25
"""Seconds between writes."""

KEPT_LINES = 20_000
"""Lines that wait for a disk that fails; beyond, the oldest are dropped and counted."""


class ResultsFile:
    """Append lines to `path` in a thread of its own.

    The file is opened anew when it was moved away (logrotate) or `reopen` asks for it; after a
    failure what waits is written once the disk takes it again, never half a line.
    """

    def __init__(self, path: Path, health: Health) -> None:
        self.path = path
        self._health = health
        self._waiting: deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = b""
        """What the disk has not taken yet of lines that were begun."""
        self._descriptor: int | None = None
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that was written last."""
        self._in_line = False
        """Whether the file ends in the middle of a line."""
        self._failing = False
        self._reopen = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="results-file", daemon=True)
        self._thread.start()

    def append(self, line: str) -> None:
        """Have `line` (without its newline) written soon; never blocks."""
        if len(self._waiting) == KEPT_LINES:
            self._health.results_dropped.inc()
        self._waiting.append(line)

    def reopen(self) -> None:
        """Open the file anew before the next write."""
        self._reopen = True

    def close(self, wait: float = 2.0) -> None:
        """Write what waits, for `wait` seconds at most, and end the thread."""
        self._closing.set()
        self._thread.join(wait)

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(FLUSH_EVERY)
            if self._waiting or self._rest:
                self._flush()
        lost = len(self._waiting) + self._rest.count(b"\n")
        if lost:
            _log.warning("results lost at shutdown", extra=fields(file=self.path, lines=lost))
        self._close()

    def _flush(self) -> None:
        try:
            descriptor = self._opened()
            while self._rest or self._waiting:
                if not self._rest:
                    count = min(len(self._waiting), 1000)
                    self._rest = "".join(f"{self._waiting.popleft()}\n" for _ in range(count)).encode()
                written = os.write(descriptor, self._rest)
                self._in_line = not self._rest.endswith(b"\n", 0, written)
                self._rest = self._rest[written:]
        except OSError as error:
            self._failed(error)
        else:
            if self._failing:
                self._failing = False
                _log.info("results file takes lines again", extra=fields(file=self.path))

    def _opened(self) -> int:
        if self._descriptor is not None and (self._reopen or self._was_moved(self._descriptor)):
            self._close()
        self._reopen = False
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._descriptor = os.open(self.path, flags, 0o640)
            self._begin_whole(_identity(os.fstat(self._descriptor)))
        return self._descriptor

    def _begin_whole(self, file: tuple[int, int]) -> None:
        """Leave out the end of a line that began in another file."""
        if self._in_line and file != self._file:
            self._rest = self._rest.partition(b"\n")[2]
            self._health.results_dropped.inc()
            self._in_line = False
        self._file = file

    def _was_moved(self, descriptor: int) -> bool:
        try:
            return _identity(self.path.stat()) != _identity(os.fstat(descriptor))
        except FileNotFoundError:
            return True

    def _failed(self, error: OSError) -> None:
        self._health.results_errors.inc()
        self._close()
        if not self._failing:
            self._failing = True
            _log.warning(
                "results file cannot be written; probing goes on",
                extra=fields(file=self.path, reason=unwritable(error, self.path)),
            )

    def _close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
