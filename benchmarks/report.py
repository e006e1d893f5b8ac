"""What a run of the exporter's benchmark showed: samples, their figures, a table and JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from core import VERSION

SCHEDULED, PEER, ON_DEMAND = "sitemedic scheduled", "blackbox /probe", "sitemedic /probe"
ALONE, ALONE_CLOSED = "libcurl alone", "libcurl alone, closed loop"
PEER_CLOSED, ON_DEMAND_CLOSED = f"{PEER}, closed loop", f"{ON_DEMAND}, closed loop"
PEER_HTTPS, ON_DEMAND_HTTPS = f"{PEER}, HTTPS", f"{ON_DEMAND}, HTTPS"
NAMES, PEER_NAMES = f"{SCHEDULED}, names", f"{PEER}, names"
NAMES_MUTE = f"{NAMES}, 5 % unanswered"
_BESIDE = {
    SCHEDULED: PEER, PEER: PEER, ON_DEMAND: PEER, ALONE: PEER,
    ALONE_CLOSED: PEER_CLOSED, PEER_CLOSED: PEER_CLOSED, ON_DEMAND_CLOSED: PEER_CLOSED,
    PEER_HTTPS: PEER_HTTPS, ON_DEMAND_HTTPS: PEER_HTTPS,
    NAMES: PEER_NAMES, NAMES_MUTE: PEER_NAMES, PEER_NAMES: PEER_NAMES,
}  # fmt: skip
"""Which of blackbox_exporter's windows each is compared with."""
TLS = "TLS 1.3, X25519, a P-256 certificate, TLS_AES_128_GCM_SHA256"
"""What both agree on with the server."""


@dataclass(frozen=True)
class Sample:
    """One peer in one window."""

    kind: str
    sites: int
    rate: float
    """Probes a second that were asked for; 0: as many as are answered (closed loop)."""
    probes: int
    """Probes that were made; each succeeded, or the run ended."""
    seconds: float
    cpu_seconds: float
    resident_bytes: int | None
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
class Accuracy:
    """What sites before a slow server showed; seconds, an error is a probe's duration less the server's."""

    sites: int
    hanging: int
    """Sites that never answer; the others are told of."""
    probes: int
    error_p50: float
    error_p99: float
    scraped_probes: int
    """Probes in flight while a scrape was answered."""
    scraped_error_p99: float
    scraped_error_most: float
    lateness_p99: float
    scrapes: tuple[float, ...]
    load: float


@dataclass(frozen=True)
class Run:
    """A whole run."""

    target: str
    """The server that was probed."""
    blackbox_exporter: str
    """Its version."""
    samples: tuple[Sample, ...]
    accuracies: tuple[Accuracy, ...] = ()

    def of(self, kind: str, sites: int) -> list[Sample]:
        """Return the samples of one peer at the rate of `sites`."""
        return [sample for sample in self.samples if (sample.kind, sample.sites) == (kind, sites)]

    def cpu_per_probe(self, kind: str, sites: int) -> float:
        """Return the median of the windows' CPU seconds per probe."""
        return median(sample.cpu_per_probe for sample in self.of(kind, sites))

    def ratio(self, kind: str, sites: int) -> float:
        """Return how many times cheaper than blackbox_exporter a probe is."""
        return self.cpu_per_probe(_BESIDE[kind], sites) / max(self.cpu_per_probe(kind, sites), 1e-9)

    def windows(self) -> list[tuple[str, int]]:
        """Return what was measured, as (kind, sites), in its order."""
        return list(dict.fromkeys((sample.kind, sample.sites) for sample in self.samples))

    def json(self) -> dict[str, object]:
        """Return everything, for comparing runs: seconds and bytes, not rounded."""
        figures = [
            {"kind": kind, "sites": sites, "cpu_seconds_per_probe": self.cpu_per_probe(kind, sites),
             "times_cheaper_than_blackbox_exporter": self.ratio(kind, sites)}
            for kind, sites in self.windows()
        ]  # fmt: skip
        return {
            "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
            "versions": {
                "sitemedic": VERSION,
                "python": platform.python_version(),
                "blackbox_exporter": self.blackbox_exporter,
            },
            "target": self.target,
            "https": TLS,
            "accuracy": [asdict(one) for one in self.accuracies],
            "figures": figures,
            "samples": [
                {**asdict(sample), "cpu_seconds_per_probe": sample.cpu_per_probe} for sample in self.samples
            ],
        }


_HEADINGS = (
    "peer", "sites", "probes/s", "reached", "CPU µs/probe", "(windows)", "times cheaper", "RSS MB",
    "series/site", "scrape ms", "lateness p99 ms", "probes", "load",
)  # fmt: skip

_ACCURACY = (
    "sites", "hanging", "probes", "error ms p50", "p99", "while scraped: probes", "p99", "most",
    "lateness p99 ms", "scrape ms", "load",
)  # fmt: skip


def table(run: Run) -> str:
    """Return the figures as tables in Markdown, one row for each peer and size, and for each slow server."""
    costs = [_row(run, kind, sites) for kind, sites in run.windows()]
    told = _aligned([_HEADINGS, *costs]) if costs else ""
    if run.accuracies:
        told += "\n" + _aligned([_ACCURACY, *map(_accuracy_row, run.accuracies)])
    return told


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _row(run: Run, kind: str, sites: int) -> tuple[str, ...]:
    samples = run.of(kind, sites)
    costs = sorted(sample.cpu_per_probe * 1e6 for sample in samples)
    scrapes = [seconds for sample in samples for seconds in sample.scrapes]
    memory = [sample.resident_bytes for sample in samples if sample.resident_bytes is not None]
    series = [sample.series_per_site for sample in samples if sample.series_per_site is not None]
    late = [sample.lateness_p99_seconds for sample in samples if sample.lateness_p99_seconds is not None]
    return (
        kind,
        f"{sites:,}",
        f"{samples[0].rate:,.0f}" if samples[0].rate else "",
        f"{min(sample.probes / sample.seconds for sample in samples):,.0f}",
        f"{run.cpu_per_probe(kind, sites) * 1e6:,.0f}",
        f"{costs[0]:,.0f}–{costs[-1]:,.0f}",
        f"{run.ratio(kind, sites):.1f}",
        f"{max(memory) / 1e6:.0f}" if memory else "",
        f"{max(series):.1f}" if series else "",
        f"{median(scrapes) * 1e3:.0f}" if scrapes else "",
        f"{max(late) * 1e3:.0f}" if late else "",
        f"{sum(sample.probes for sample in samples):,}",
        f"{max(sample.load for sample in samples):.1f}",
    )


def _accuracy_row(found: Accuracy) -> tuple[str, ...]:
    return (
        f"{found.sites:,}",
        f"{found.hanging:,}",
        f"{found.probes:,}",
        f"{found.error_p50 * 1e3:.2f}",
        f"{found.error_p99 * 1e3:.2f}",
        f"{found.scraped_probes:,}",
        f"{found.scraped_error_p99 * 1e3:.2f}",
        f"{found.scraped_error_most * 1e3:.2f}",
        f"{found.lateness_p99 * 1e3:.0f}",
        f"{median(found.scrapes) * 1e3:.0f}",
        f"{found.load:.1f}",
    )
