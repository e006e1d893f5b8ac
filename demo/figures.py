"""What a process uses, out of /proc: the demo's container is one process, and has no cgroup of its own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


@dataclass(frozen=True)
class Figures:
    """Sizes in bytes, times in seconds of CPU since the start."""

    user: float = 0.0
    system: float = 0.0
    anonymous: int = 0
    file: int = 0
    read: int = 0
    written: int = 0
    threads: int = 0

    @property
    def memory(self) -> int:
        """Return what is resident, as a cgroup's memory.current counts it."""
        return self.anonymous + self.file


def figures_of(pid: int) -> Figures:
    """Return what a process uses now, and all its threads; nothing where it has just ended."""
    process = Path(f"/proc/{pid}")
    try:
        stat = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        status = _pairs((process / "status").read_text(encoding="utf-8", errors="replace"))
        io = _pairs((process / "io").read_text(encoding="utf-8"))
        return Figures(
            user=int(stat[11]) / _TICKS,
            system=int(stat[12]) / _TICKS,
            anonymous=_size(status["RssAnon"]),
            file=_size(status["RssFile"]) + _size(status["RssShmem"]),
            read=int(io["read_bytes"]),
            written=int(io["write_bytes"]),
            threads=int(status["Threads"]),
        )
    except (OSError, ValueError, LookupError):
        return Figures()


def _pairs(text: str) -> Mapping[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _size(text: str) -> int:
    return int(text.split()[0]) * _KIB
