"""A storm of reloads while probing: sites come and go, some files are broken; who stays loses nothing."""

import random
import time
from dataclasses import dataclass, field
from threading import Thread

import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.ledger import Ledger
from benchmarks.faults.sites_file import Sites

BROKEN_EVERY = 10
PATIENCE = 120.0
"""Seconds to wait for an answer of the exporter: the machine may have others to serve."""
_PROBES, _SINCE = "sitemedic_probes_total", "sitemedic_failing_since_timestamp_seconds"


@dataclass(frozen=True)
class State:
    """What the exporter remembers of its sites at one moment."""

    probes: dict[str, float]
    failing_since: dict[str, float]


def state_of(url: str) -> State:
    """Ask the exporter; what it answers must be readable by Prometheus's own parser."""
    answered = requests.get(f"{url}/metrics", timeout=PATIENCE)
    answered.raise_for_status()
    found: dict[str, dict[str, float]] = {_PROBES: {}, _SINCE: {}}
    for family in text_string_to_metric_families(answered.text):
        for sample in family.samples:
            if sample.name in found:
                found[sample.name][sample.labels["site"]] = sample.value
    return State(found[_PROBES], found[_SINCE])


@dataclass
class Storm:
    """Rewrites the file again and again, and has it read."""

    sites: Sites
    url: str
    reloads: int
    chance: random.Random
    taken_up: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def begin(self) -> Thread:
        """Begin it in a thread of its own."""
        thread = Thread(target=self._rage, daemon=True)
        thread.start()
        return thread

    def _rage(self) -> None:
        for number in range(1, self.reloads + 1):
            broken = number % BROKEN_EVERY == 0
            if broken:
                self.sites.write_broken()
            else:
                self.sites.write_some(self.chance)
            began = time.monotonic()
            try:
                status = requests.post(f"{self.url}/-/reload", timeout=PATIENCE).status_code
            except requests.RequestException as error:
                self.faults.append(f"reload {number}: {type(error).__name__}")
                continue
            self.taken_up += status == 200
            self.refused += status == 500
            if status != (500 if broken else 200):
                self.faults.append(f"reload {number} answered {status}")
            time.sleep((time.monotonic() - began) / 2)  # reading takes a processor: not all of the time
        self.sites.write_all()
        requests.post(f"{self.url}/-/reload", timeout=PATIENCE)


def lost(before: State, after: State, sites: Sites, ledger: Ledger, least: dict[str, int]) -> list[str]:
    """Say what a site that stayed has lost between two states.

    `least` are the lines that the ledger had of each site when `after` was asked for, now it has some more:
    the counter must be between.
    """
    faults = []
    for name in (str(site["name"]) for site in (*sites.staying, *sites.beside)):
        counted = after.probes.get(name, -1)
        if not least.get(name, 0) <= counted <= ledger.of_site[name]:
            lines = f"{least.get(name, 0)} to {ledger.of_site[name]}"
            faults.append(f"{name}: counts {counted:g} probes, and the results file has {lines}")
        since = before.failing_since.get(name)
        wanted = ledger.wanted.get(name.rpartition(".")[0], "succeeds")
        if since and wanted != "succeeds" and after.failing_since.get(name) != since:
            faults.append(f"{name}: fails since {after.failing_since.get(name)}, and it was {since}")
    return faults
