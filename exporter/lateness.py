"""How late scheduled probes begin, as a histogram.

prometheus_client's own takes a lock for each of an observation's two numbers: a fortieth of a probe.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Lateness(Collector):
    """Counts probes by how late they began; used on the loop only."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a probe that began `seconds` after its due time."""
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        bounds = (*map(str, _BUCKETS), "+Inf")
        yield HistogramMetricFamily(
            "sitemedic_exporter_probe_lateness_seconds",
            "How long after its due time a scheduled probe began.",
            buckets=list(zip(bounds, map(float, accumulate(self._counts)), strict=True)),
            sum_value=self._sum,
        )
