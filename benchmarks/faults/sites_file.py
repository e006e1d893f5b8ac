"""The sites of a campaign: many of each behaviour, some that come and go, and some beside that are well."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.world import BEHAVIOURS, Opened
from core.files import write_whole

INTERVAL, SELDOM = 8.0, 60.0
"""Seconds between two probes of a site, and of a dear one."""
LONG, SHORT, PATIENT = 7.0, 2.5, 40.0
"""Seconds that a probe may take: where the answer ends by itself, and where only the timeout ends it, and
where the answer is dear."""
BESIDE = "beside"
BESIDE_SITES = 20
COMING_AND_GOING = 3
"""One site of so many comes and goes."""


@dataclass(frozen=True)
class Sites:
    """Every site, and how their file is written."""

    file: Path
    modules: Mapping[str, Mapping[str, Any]]
    staying: tuple[Mapping[str, Any], ...]
    going: tuple[Mapping[str, Any], ...]
    beside: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, file: Path, found: Mapping[str, Opened], beside: str, rate: float) -> "Sites":
        """Return sites of what was `found` that make some `rate` probes a second."""
        dear = [name for name in found if BEHAVIOURS[name].dear]
        others = max(1, len(found) - len(dear))
        times = max(1, round((rate * INTERVAL - len(dear)) / others))
        modules = {json.dumps(one.module): one.module for one in found.values()}
        named = {key: f"module-{number}" for number, key in enumerate(modules)}
        sites = [
            {"name": f"{name}.{number}", "url": one.target, "module": named[json.dumps(one.module)],
             "interval": SELDOM if name in dear else INTERVAL,
             "timeout": (PATIENT if name in dear else LONG) if BEHAVIOURS[name].ends else SHORT}
            for name, one in found.items()
            for number in range(1 if name in dear else times)
        ]  # fmt: skip
        staying = tuple(site for at, site in enumerate(sites) if at % COMING_AND_GOING)
        going = tuple(site for at, site in enumerate(sites) if at % COMING_AND_GOING == 0)
        well = tuple(
            {"name": f"{BESIDE}.{number}", "url": beside, "interval": 2.0, "timeout": 1.9}
            for number in range(BESIDE_SITES)
        )
        return cls(file, {named[key]: module for key, module in modules.items()}, staying, going, well)

    def write_beside(self) -> None:
        """Leave only those that are well."""
        self._write(())

    def write_all(self) -> None:
        """Have every site."""
        self._write((*self.staying, *self.going))

    def write_some(self, chance: random.Random) -> None:
        """Have those that stay, and by chance half of the others."""
        self._write((*self.staying, *(site for site in self.going if chance.random() < 0.5)))

    def write_broken(self) -> None:
        """Write what no exporter takes up."""
        self._write(({"name": "broken", "url": "ftp://nowhere"},))

    def _write(self, sites: Iterable[Mapping[str, Any]]) -> None:
        parts = {
            "defaults": {"interval": INTERVAL},
            "modules": self.modules,
            "sites": [*self.beside, *sites],
        }
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in parts.items())  # JSON is YAML
        write_whole(self.file, text)
