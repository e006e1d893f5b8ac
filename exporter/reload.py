"""Read the configuration again: when asked, or by itself when a file changed. All or nothing."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.faults import ConfigError
from core.files_watch import FileWatcher
from core.logs import fields
from core.sites import Part
from exporter.configuration import Configuration, read
from exporter.modules import UnreadableError
from exporter.service import Exporter

_log = logging.getLogger(__name__)

POLL_EVERY = 2.0
"""Seconds between two looks at the files."""


class Reloader:
    """Keeps a running exporter at what its files say."""

    def __init__(
        self, exporter: Exporter, path: Path, parts: Sequence[Part], poll_every: float = POLL_EVERY
    ) -> None:
        self._exporter = exporter
        self._path = path
        self._parts = parts
        self._poll_every = poll_every
        self._lock = asyncio.Lock()
        self._readings = 0
        """How many readings have begun."""
        self._refused: ConfigError | None = None
        """What was wrong in the last one."""
        self._watcher = FileWatcher(exporter.configuration.files)
        self._changed_meanwhile = False

    async def reload(self) -> None:
        """Take up what the files say now.

        Raises ConfigError, with every fault, when they cannot be used: then all stays as it was.
        """
        begun = self._readings
        async with self._lock:
            # Whoever waits here shares the next reading: a storm of reloads reads once or twice.
            if self._readings == begun:
                self._readings += 1
                self._refused = await self._take_up()
            if self._refused is not None:
                raise ConfigError(self._refused.faults)

    async def _take_up(self) -> ConfigError | None:
        """Read the files and apply them; return what is wrong with them, None: nothing."""
        started = time.time_ns()
        try:
            # In a thread: 10,000 sites take seconds to read, and probes must not wait for that.
            configuration = await asyncio.to_thread(self._read)
            self._exporter.apply(configuration)
        except ConfigError as error:
            return await self._refuse(error, started)
        except Exception as error:  # noqa: BLE001 - whatever it was, who asked is told
            _log.exception("a fault of the exporter itself", extra=fields(file=self._path))
            return await self._refuse(ConfigError.unforeseen(self._path.name, error), started)
        self._exporter.health.reloaded(successful=True)
        await self._watch(configuration.files, started)
        _log.info("configuration taken up", extra=fields(file=self._path, sites=len(configuration.sites)))
        return None

    async def _refuse(self, error: ConfigError, started: int) -> ConfigError:
        self._exporter.health.reloaded(successful=False)
        await self._watch([*self._exporter.configuration.files, *self._faulty(error)], started)
        _log.warning(
            "configuration refused; the old one keeps running",
            extra=fields(file=self._path, faults=len(error.faults), first=str(error.faults[0])),
        )
        return error

    def _read(self) -> Configuration:
        configuration = read(self._path, self._parts)
        self._exporter.heartbeats.tokens(configuration.sites)
        return configuration

    async def follow_files(self) -> None:
        """Reload whenever a file changed; runs until it is cancelled."""
        while True:
            await asyncio.sleep(self._poll_every)
            changed = await asyncio.to_thread(self._watcher.changed)
            if changed or self._changed_meanwhile:
                try:
                    await self.reload()
                except ConfigError:
                    continue  # told by reload; the next change is the next try

    async def _watch(self, paths: Iterable[Path], started: int) -> None:
        """Watch `paths`; what was written since `started` (unix ns) may have been read too early."""
        unique = dict.fromkeys(paths)
        await asyncio.to_thread(self._watcher.watch, unique)
        self._changed_meanwhile = any(_written_since(path, started) for path in unique)

    def _faulty(self, error: ConfigError) -> list[Path]:
        """Return the files that faults are about: mending one of them is a change too."""
        named = error.files if isinstance(error, UnreadableError) else ()
        return [
            self._path,
            *(self._path.parent / fault.file for fault in error.faults if fault.file),
            *named,
        ]


def _written_since(path: Path, started: int) -> bool:
    try:
        return path.stat().st_mtime_ns >= started
    except OSError:
        return False
