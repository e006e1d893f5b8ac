"""What a run of the remediator's benchmark showed: samples, their figures, a table and JSON."""

import math
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from core import VERSION


@dataclass(frozen=True)
class Sample:
    """One measure in one round, with every single value."""

    measure: str
    load: str
    unit: str
    values: tuple[float, ...]
    counts: Mapping[str, float] = field(default_factory=dict)
    """What was counted beside it."""
    machine_load: float = field(default_factory=lambda: os.getloadavg()[0])
    """The machine's load average over a minute, at its end."""

    def quantile(self, share: float) -> float:
        """Return a quantile (nearest rank) of the values."""
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def line(self) -> str:
        """Return it in one line."""
        beside = "".join(f", {name} {_short(value)}" for name, value in self.counts.items())
        figures = " / ".join(_short(self.quantile(share)) for share in (0.5, 0.99, 1))
        what = f"{self.measure}, {self.load}" if self.load else self.measure
        values = f"{figures} {self.unit} ({len(self.values)}){beside}"
        return f"{what}: {values}, load {self.machine_load:.1f}"


@dataclass(frozen=True)
class Run:
    """A whole run."""

    samples: tuple[Sample, ...]

    def groups(self) -> list[list[Sample]]:
        """Return the samples of each measure and load, one a round, in the order of the first round."""
        found: dict[tuple[str, str], list[Sample]] = {}
        for sample in self.samples:
            found.setdefault((sample.measure, sample.load), []).append(sample)
        return list(found.values())

    def json(self) -> dict[str, object]:
        """Return everything, for comparing runs."""
        return {
            "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
            "versions": {
                "sitemedic": VERSION, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version,
            },
            "figures": [_figures(group) for group in self.groups()],
            "samples": [asdict(sample) for sample in self.samples],
        }  # fmt: skip


def _figures(group: Sequence[Sample]) -> dict[str, object]:
    high = [sample.quantile(0.99) for sample in group]
    return {
        "measure": group[0].measure, "load": group[0].load, "unit": group[0].unit,
        "count": sum(len(sample.values) for sample in group),
        "p50": median(sample.quantile(0.5) for sample in group),
        "p99": median(high), "p99_lowest": min(high), "p99_highest": max(high),
        "max": max(sample.quantile(1) for sample in group),
        "counts": {
            name: [sample.counts.get(name) for sample in group] for name in group[0].counts
        },
        "machine_load": max(sample.machine_load for sample in group),
    }  # fmt: skip


_HEADINGS = ("measure", "load", "count", "p50", "p99", "(rounds)", "max", "unit", "beside", "machine's load")


def table(run: Run) -> str:
    """Return the figures as a table in Markdown, one row for each measure and load."""
    rows = [_HEADINGS, *(_row(group) for group in run.groups())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _row(group: Sequence[Sample]) -> tuple[str, ...]:
    high = [sample.quantile(0.99) for sample in group]
    beside = [
        f"{name} {'/'.join(_short(sample.counts.get(name, 0)) for sample in group)}"
        for name in group[0].counts
    ]
    return (
        group[0].measure,
        group[0].load,
        f"{sum(len(sample.values) for sample in group):,}",
        _short(median(sample.quantile(0.5) for sample in group)),
        _short(median(high)),
        f"{_short(min(high))}–{_short(max(high))}" if len(high) > 1 else "",
        _short(max(sample.quantile(1) for sample in group)),
        group[0].unit,
        "; ".join(beside),
        f"{max(sample.machine_load for sample in group):.1f}",
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
