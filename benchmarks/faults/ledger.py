"""What came of each probe: behaviour × reason × count, out of the exporter's own results file."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.sites_file import BESIDE
from benchmarks.faults.table import SUCCEEDS

KEPT = 100
"""Probes with another reason that are kept whole."""


@dataclass
class Ledger:
    """Follows the results file; `wanted` says what must come of each behaviour."""

    wanted: Mapping[str, str]
    results: Path
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    of_site: Counter[str] = field(default_factory=Counter)
    """Lines of each site."""
    others: list[dict[str, Any]] = field(default_factory=list)
    """Probes with another reason than the table's."""
    beside: list[float] = field(default_factory=list)
    """How long the probes of the sites beside took."""
    beside_failures: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    @property
    def probes(self) -> int:
        """Return how many probes of behaviours there were."""
        return sum(counter.total() for counter in self.counts.values())

    @property
    def other(self) -> int:
        """Return how many had another reason than the table's."""
        return self.probes - sum(self.counts[name][self.wanted[name]] for name in self.counts)

    def follow(self) -> None:
        """Take up the lines that were written meanwhile."""
        if not self.results.exists():
            return
        with self.results.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        site, reason = str(line["site"]), str(line["reason"] or SUCCEEDS)
        self.of_site[site] += 1
        behaviour = site.rpartition(".")[0]
        if behaviour == BESIDE:
            self.beside.append(line["duration_seconds"])
            if not line["success"]:
                self.beside_failures.append(line)
            return
        self.counts[behaviour][reason] += 1
        if reason != self.wanted[behaviour] and len(self.others) < KEPT:
            self.others.append(line | {"behaviour": behaviour, "wanted": self.wanted[behaviour]})

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each behaviour and reason."""
        return [
            {"behaviour": name, "wanted": self.wanted[name], "reason": reason, "count": count}
            for name, counter in self.counts.items()
            for reason, count in counter.most_common()
        ]
