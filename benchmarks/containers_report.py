"""What a run of the containers' benchmark showed: samples, a table and JSON."""

import os
import platform
from dataclasses import asdict, dataclass

from core import VERSION

LIST_EVERY, USAGE_EVERY = 30.0, 10.0
"""Seconds: how often the exporter asks while nothing happens (exporter/containers/watch.py)."""


@dataclass(frozen=True)
class Sample:
    """One kind of question, asked one way for so many containers; CPU times are seconds for one answer."""

    way: str
    call: str
    containers: int
    rounds: int
    requests: int
    """Of the engine's API, or commands over SSH."""
    exporter_cpu: float
    engine_cpu: float
    """dockerd, containerd and the containers' shims."""
    ssh_cpu: float
    """sshd, the wrapper and all that it runs."""
    seconds: float
    load: float

    @property
    def server_cpu(self) -> float:
        """Return what the server pays for one answer."""
        return self.engine_cpu + self.ssh_cpu

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.way}, {self.call}, {self.containers}: exporter {self.exporter_cpu * 1e3:.1f} ms, server "
            f"{self.server_cpu * 1e3:.0f} ms, {self.seconds * 1e3:.0f} ms, load {self.load:.1f}"
        )


@dataclass(frozen=True)
class Run:
    """A whole run."""

    samples: tuple[Sample, ...]

    def of(self, way: str, containers: int) -> tuple[Sample, Sample]:
        """Return the list's sample and the usage's."""
        found = {one.call: one for one in self.samples if (one.way, one.containers) == (way, containers)}
        return found["list"], found["usage"]

    def share(self, way: str, containers: int, whose: str) -> float:
        """Return how much of one processor watching takes, all the time."""
        listed, used = self.of(way, containers)
        return float(getattr(listed, whose) / LIST_EVERY + getattr(used, whose) / USAGE_EVERY)

    def rows(self) -> list[tuple[str, int]]:
        """Return each way with each number of containers, in the order in which they were measured."""
        return list(dict.fromkeys((one.way, one.containers) for one in self.samples))

    def json(self) -> dict[str, object]:
        """Return everything, for comparing runs: seconds, not rounded."""
        return {
            "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
            "versions": {"sitemedic": VERSION, "python": platform.python_version()},
            "asked_every_seconds": {"list": LIST_EVERY, "usage": USAGE_EVERY},
            "figures": [
                {
                    "way": way,
                    "containers": number,
                    "exporter_share_of_a_processor": self.share(way, number, "exporter_cpu"),
                    "server_share_of_a_processor": self.share(way, number, "server_cpu"),
                }
                for way, number in self.rows()
            ],
            "samples": [{**asdict(one), "server_cpu": one.server_cpu} for one in self.samples],
        }


_HEADINGS = (
    "way", "containers", "requests", "exporter, ms of CPU", "server, ms of CPU", "takes, ms",
    "exporter, % of a core", "server, % of a core", "load",
)  # fmt: skip


def table(run: Run) -> str:
    """Return the figures as a table in Markdown; two in a cell are the list's and the usage's."""
    rows = [_HEADINGS, *(_row(run, way, number) for way, number in run.rows())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _row(run: Run, way: str, number: int) -> tuple[str, ...]:
    both = run.of(way, number)
    return (
        way,
        f"{number:,}",
        " / ".join(f"{one.requests}" for one in both),
        " / ".join(f"{one.exporter_cpu * 1e3:.1f}" for one in both),
        " / ".join(f"{one.server_cpu * 1e3:.0f}" for one in both),
        " / ".join(f"{one.seconds * 1e3:.0f}" for one in both),
        f"{run.share(way, number, 'exporter_cpu') * 100:.3f}",
        f"{run.share(way, number, 'server_cpu') * 100:.2f}",
        f"{max(one.load for one in both):.1f}",
    )
