"""Read the counters of this machine's containers out of the kernel's own files, cgroups version 1 or 2.

The engine's statistics cost it a call a container and us up to a second: it counts once a second, and answers
then. These files cost microseconds. They are there where the exporter runs on the machine itself; within a
container of its own it sees no other's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from exporter.containers.cgroups import Counters
from exporter.containers.model import Usage

_ID_CHARACTERS = 64
_MOST_BYTES = 64 * 1024
# file, and how the lines begin that are wanted of it; the names are those of the wrapper's answer too
_VERSION_2 = (
    ("cpu.stat", ("usage_usec ", "user_usec ", "system_usec ", "nr_", "throttled_usec ")),
    ("memory.current", ("",)),
    ("memory.stat", ("anon ", "file ", "inactive_file ")),
    ("memory.events", ("oom_kill ",)),
    ("io.stat", ("",)),
    ("pids.current", ("",)),
)
_VERSION_1 = (
    ("cpuacct", "cpuacct.usage", "cpuacct.usage", ("",)),
    ("cpuacct", "cpuacct.stat", "cpuacct.stat", ("",)),
    ("cpu", "cpu.stat", "cpu.stat", ("nr_", "throttled_time ")),
    ("memory", "memory.usage_in_bytes", "memory.usage_in_bytes", ("",)),
    ("memory", "memory.stat", "memory.stat", ("total_rss ", "total_cache ", "total_inactive_file ")),
    ("memory", "memory.oom_control", "memory.oom_control", ("oom_kill ",)),
    ("blkio", "blkio.throttle.io_service_bytes_recursive", "blkio", ("",)),
    ("pids", "pids.current", "pids.current", ("",)),
)


class CgroupFiles:
    """Where each container's files are is looked for once; not for several threads at a time."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        self._root = root
        self._proc = proc
        self._unified = (root / "cgroup.controllers").exists()
        self._folders: dict[str, str] = {}

    def usage(self, ids: Collection[str], with_host_network: Collection[str] = ()) -> dict[str, Usage]:
        """Return what these use, as far as their files are here; the host's interfaces are nobody's."""
        self._folders = {one: folder for one, folder in self._folders.items() if one in ids}
        if any(one not in self._folders for one in ids):
            self._folders |= {one: folder for one, folder in self._found() if one in ids}
        found = {}
        for one in ids:
            folder = self._folders.get(one)
            usage = None if folder is None else self._read(folder, one not in with_host_network)
            if usage is None:
                self._folders.pop(one, None)
            else:
                found[one] = usage
        return found

    def _found(self) -> Iterator[tuple[str, str]]:
        base = str(self._root if self._unified else self._root / "memory")
        for path, folders, _ in os.walk(base):
            for name in folders:
                identity = name.removeprefix("docker-").removesuffix(".scope")
                if len(identity) == _ID_CHARACTERS:
                    yield identity, f"{path}/{name}".removeprefix(base)

    def _read(self, folder: str, with_network: bool) -> Usage | None:
        counters, root = Counters(), str(self._root)
        if self._unified:
            home = root + folder
            for name, wanted in _VERSION_2:
                _take(counters, f"{home}/{name}", name, wanted)
        else:
            home = f"{root}/memory{folder}"
            for controller, file, label, begins in _VERSION_1:
                _take(counters, f"{root}/{controller}{folder}/{file}", label, begins)
        processes = _text(f"{home}/cgroup.procs").split(maxsplit=1)
        if with_network and processes:
            for line in _text(f"{self._proc}/{processes[0]}/net/dev").splitlines()[2:]:
                counters.take("net", line)
        return counters.usage(time.time()) if counters.whole else None


def _take(counters: Counters, path: str, label: str, wanted: tuple[str, ...]) -> None:
    for line in _text(path).splitlines():
        if line.startswith(wanted):
            counters.take(label, line)


def _text(path: str) -> str:
    """Return a file's beginning, nothing where it is gone or not for us."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(handle, _MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(handle)
