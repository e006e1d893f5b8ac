"""What a run of the exporter's benchmark showed: samples, their figures, a table and JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from core import VERSION

SCHEDULED, PEER, ON_DEMAND = "sitemedic scheduled", "blackbox /probe", "sitemedic /probe"
KINDS = (SCHEDULED, PEER, ON_DEMAND)


@dataclass(frozen=True)
class Sample:
    """One peer in one window."""

    kind: str
    sites: int
    rate: float
    """Probes a second that were asked for."""
    probes: int
    """Probes that were made; each succeeded, or the run ended."""
    seconds: float
    cpu_seconds: float
    resident_bytes: int
    load: float
    """The machine's load average over a minute, when the window ended."""
    scrapes: tuple[float, ...] = ()
    """How long each full scrape took, in seconds."""
    scrape_bytes: int | None = None
    scrape_packed_bytes: int | None = None
    series_per_site: float | None = None
    lateness_p99_seconds: float | None = None

    @property
    def cpu_per_probe(self) -> float:
        """Return the CPU seconds of one probe."""
        return self.cpu_seconds / self.probes


@dataclass(frozen=True)
class Run:
    """A whole run."""

    target: str
    """The server that was probed."""
    blackbox_exporter: str
    """Its version."""
    samples: tuple[Sample, ...]

    def of(self, kind: str, sites: int) -> list[Sample]:
        """Return the samples of one peer at the rate of `sites`."""
        return [sample for sample in self.samples if (sample.kind, sample.sites) == (kind, sites)]

    def cpu_per_probe(self, kind: str, sites: int) -> float:
        """Return the median of the windows' CPU seconds per probe."""
        return median(sample.cpu_per_probe for sample in self.of(kind, sites))

    def ratio(self, kind: str, sites: int) -> float:
        """Return how many times cheaper than blackbox_exporter a probe is."""
        return self.cpu_per_probe(PEER, sites) / max(self.cpu_per_probe(kind, sites), 1e-9)

    def sizes(self) -> list[int]:
        """Return the numbers of sites, in the order in which they were measured."""
        return list(dict.fromkeys(sample.sites for sample in self.samples))

    def json(self) -> dict[str, object]:
        """Return everything, for comparing runs: seconds and bytes, not rounded."""
        figures = [
            {"kind": kind, "sites": sites, "cpu_seconds_per_probe": self.cpu_per_probe(kind, sites),
             "times_cheaper_than_blackbox_exporter": self.ratio(kind, sites)}
            for sites in self.sizes()
            for kind in KINDS
        ]  # fmt: skip
        return {
            "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
            "versions": {
                "sitemedic": VERSION,
                "python": platform.python_version(),
                "blackbox_exporter": self.blackbox_exporter,
            },
            "target": self.target,
            "figures": figures,
            "samples": [
                {**asdict(sample), "cpu_seconds_per_probe": sample.cpu_per_probe} for sample in self.samples
            ],
        }


_HEADINGS = (
    "peer", "sites", "probes/s", "reached", "CPU µs/probe", "(windows)", "times cheaper", "RSS MB",
    "series/site", "scrape ms", "lateness p99 ms", "probes", "load",
)  # fmt: skip


def table(run: Run) -> str:
    """Return the figures as a table in Markdown, one row for each peer and size."""
    rows = [_HEADINGS, *(_row(run, kind, sites) for sites in run.sizes() for kind in KINDS)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _row(run: Run, kind: str, sites: int) -> tuple[str, ...]:
    samples = run.of(kind, sites)
    costs = sorted(sample.cpu_per_probe * 1e6 for sample in samples)
    scrapes = [seconds for sample in samples for seconds in sample.scrapes]
    series = [sample.series_per_site for sample in samples if sample.series_per_site is not None]
    late = [sample.lateness_p99_seconds for sample in samples if sample.lateness_p99_seconds is not None]
    return (
        kind,
        f"{sites:,}",
        f"{samples[0].rate:,.0f}",
        f"{min(sample.probes / sample.seconds for sample in samples):,.0f}",
        f"{run.cpu_per_probe(kind, sites) * 1e6:,.0f}",
        f"{costs[0]:,.0f}–{costs[-1]:,.0f}",
        f"{run.ratio(kind, sites):.1f}",
        f"{max(sample.resident_bytes for sample in samples) / 1e6:.0f}",
        f"{max(series):.1f}" if series else "",
        f"{median(scrapes) * 1e3:.0f}" if scrapes else "",
        f"{max(late) * 1e3:.0f}" if late else "",
        f"{sum(sample.probes for sample in samples):,}",
        f"{max(sample.load for sample in samples):.1f}",
    )
