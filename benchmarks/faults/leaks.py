"""Memory and descriptors of a process over time, and what they say of a leak."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.processes import Process

MAY_REMAIN = 8
"""Descriptors that may be more after a campaign than before it: kept connections of whoever asks."""
MAY_GROW = 20 << 20
"""Bytes that memory may grow by within 100,000 probes, once it is warm."""


@dataclass(frozen=True)
class Sample:
    """One look at a process."""

    seconds: float
    probes: int
    resident_bytes: int
    descriptors: int


@dataclass
class Watch:
    """Looks at a process again and again."""

    process: Process
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)

    def look(self, probes: int) -> Sample:
        """Look once, and keep it."""
        descriptors = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
        seconds = time.monotonic() - self.began
        sample = Sample(seconds, probes, self.process.resident_bytes(), descriptors)
        self.samples.append(sample)
        return sample


def slope(samples: list[Sample]) -> float:
    """Return the bytes by which memory grows with each probe: a straight line through all samples."""
    if len(samples) < 3 or samples[-1].probes == samples[0].probes:
        return 0.0
    probes = [float(sample.probes) for sample in samples]
    sizes = [float(sample.resident_bytes) for sample in samples]
    mean_probes, mean_size = sum(probes) / len(probes), sum(sizes) / len(sizes)
    spread = sum((at - mean_probes) ** 2 for at in probes)
    together = zip(probes, sizes, strict=True)
    return sum((at - mean_probes) * (size - mean_size) for at, size in together) / spread


def typical(samples: list[Sample]) -> tuple[int, int]:
    """Return the medians of memory and of descriptors."""
    return (
        int(median(sample.resident_bytes for sample in samples)),
        int(median(sample.descriptors for sample in samples)),
    )
