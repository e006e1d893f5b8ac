"""The load as a process of its own: Locust patches Python's sockets, and ours are not to be touched."""

import importlib.util
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import IO

from demo.keeper import die_with_parent
from demo.stress.told import Endpoint, Progress, read
from stack.errors import StackError
from stack.services import ROOT, python_environment, without_secrets

_ENDING = 15.0  # seconds until it has ended after it was told to
NOT_INSTALLED = (
    "the load comes from Locust, which is not installed here yet: the launcher does it on first use, so run "
    "./sitemedic stress (or: .venv/bin/pip install --require-hashes -r requirements-stress.lock)"
)


@dataclass
class Load:
    """A load that runs, or has run."""

    process: "subprocess.Popen[str]"
    errors: IO[str]
    endpoints: list[Endpoint] = field(default_factory=list)
    last: Progress | None = None
    _lines: "queue.SimpleQueue[Progress | Endpoint | None]" = field(default_factory=queue.SimpleQueue)

    @property
    def running(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.poll() is None

    def news(self) -> Progress | None:
        """Take up what it has told since; return how it goes."""
        while not self._lines.empty():
            told = self._lines.get()
            if isinstance(told, Endpoint):
                self.endpoints.append(told)
            elif told is not None:
                self.last = told
        return self.last

    def stop(self) -> None:
        """End it early; it tells its figures all the same."""
        self.process.terminate()
        self.finish()

    def finish(self) -> None:
        """Wait for its end; raises StackError with its last words where that was a bad one."""
        try:
            self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(_ENDING)
        self.news()
        if self.process.returncode != 0:
            self.errors.seek(0)
            words = [line.strip() for line in self.errors.read().splitlines() if line.strip()]
            raise StackError(
                f"the load ended with status {self.process.returncode}: {' / '.join(words[-3:])}"
            )

    def __post_init__(self) -> None:
        self._reader = Thread(target=self._read, name="load", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(read(line))


@contextmanager
def running_load(profile: str, url: str, seconds: float) -> Iterator[Load]:
    """Start a profile's load, and leave nothing of it. Raises StackError where Locust is missing."""
    if importlib.util.find_spec("locust") is None:
        raise StackError(NOT_INSTALLED)
    argv = [sys.executable, "-m", "demo.stress", profile, "--url", url, "--seconds", f"{seconds:g}"]
    with TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            argv,
            cwd=Path(ROOT),
            env=python_environment(without_secrets(os.environ)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to pass on
            preexec_fn=die_with_parent(os.getpid()),
        )
        try:
            yield Load(process, errors)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
