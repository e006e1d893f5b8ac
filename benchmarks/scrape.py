"""A scrape of our exporter, and what can be read out of two of them."""

import math
import time
import zlib
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.connection import Connection

_LATENESS = "sitemedic_exporter_probe_lateness_seconds"


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics."""

    seconds: float
    """From the request to the last byte; unpacking is not counted."""
    packed_bytes: int
    text: str

    def count(self, name: str, value: str | None = None) -> int:
        """Return how many series `name` has, or how many of them with `value`."""
        lines = [line for line in self.text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(value is None or line.rpartition(" ")[2] == value for line in lines)

    def total(self, name: str) -> float:
        """Return the sum of all series of `name`."""
        lines = (line for line in self.text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def series_of_sites(self) -> int:
        """Return how many series bear the label `site`."""
        return sum('{site="' in line for line in self.text.splitlines())

    def lateness(self) -> list[tuple[float, float]]:
        """Return the buckets of the exporter's own lateness histogram: (upper bound, probes so far)."""
        head = f'{_LATENESS}_bucket{{le="'
        lines = (line.removeprefix(head) for line in self.text.splitlines() if line.startswith(head))
        parts = (line.partition('"} ') for line in lines)
        return sorted((float(bound), float(count)) for bound, _, count in parts)


async def scrape(connection: Connection) -> Scrape:
    """Scrape as Prometheus does, packed. Raises AnswerError."""
    began = time.monotonic()
    packed = await connection.get("/metrics", "Accept-Encoding: gzip\r\n")
    seconds = time.monotonic() - began
    return Scrape(seconds, len(packed), zlib.decompress(packed, 31).decode())


def lateness_quantile(before: Scrape, after: Scrape, quantile: float) -> float:
    """Return a quantile of the lateness between two scrapes, in seconds, as histogram_quantile has it."""
    grown = [
        (bound, count - old)
        for (bound, count), (_, old) in zip(after.lateness(), before.lateness(), strict=True)
    ]
    rank = quantile * grown[-1][1]
    for (low, below), (high, count) in pairwise([(0.0, 0.0), *grown]):
        if count >= rank:
            if math.isinf(high):
                return low
            return low + (high - low) * (rank - below) / max(count - below, 1.0)
    return math.nan
