"""The campaign: the real exporter among servers that do all that is in docs/reasons.md, hours compressed.

CampaignError       it cannot be told what came of it: the exporter ended, or made no more probes
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks.faults.leaks import Watch
from benchmarks.faults.ledger import Ledger
from benchmarks.faults.sites_file import Sites
from benchmarks.faults.storm import PATIENCE, State, Storm, lost, state_of
from benchmarks.faults.table import read
from benchmarks.faults.world import elsewhere
from benchmarks.processes import Process, free_port, running
from benchmarks.scrape import Scrape
from benchmarks.target import serving

CALM = 3.0
"""Seconds without a fault, before and after."""
WARM_AFTER, STORM_AFTER = 0.15, 0.25
"""Shares of the probes."""
_SCRAPED_EVERY = 5.0
_WRITTEN_WITHIN = 2.0
_STANDS_STILL = 120.0


class CampaignError(Exception):
    """It cannot be told what came of it."""


@dataclass(frozen=True)
class Plan:
    """How much is done."""

    probes: int
    rate: float
    reloads: int
    seed: int
    only: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    ledger: Ledger
    watch: Watch
    seconds: float = 0.0
    sites: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    """How many samples there were at the end of each part."""
    storm: Storm | None = None
    held: int = 0
    """Descriptors shortly after the last reload."""
    lost: list[str] = field(default_factory=list)
    first: Scrape | None = None
    last: Scrape | None = None
    log: str = ""


Tell = Callable[[Outcome], None]


class Campaign:
    """One run."""

    def __init__(self, plan: Plan, folder: Path, sites: Sites, exporter: Process, tell: Tell) -> None:
        self._plan, self._sites, self._tell = plan, sites, tell
        self._url = f"http://127.0.0.1:{exporter.port}"
        ledger = Ledger(read(), folder / "results.jsonl")
        self._outcome = Outcome(plan, ledger, Watch(exporter))
        self._looked = self._scraped = self._progressed = 0.0
        self._seen = -1

    def run(self) -> Outcome:
        """Do it. Raises CampaignError."""
        outcome, plan = self._outcome, self._plan
        self._go_on(CALM, "calm before")
        self._sites.write_all()
        self._reload()
        began = time.monotonic()
        self._go_on_until(lambda: outcome.ledger.probes >= plan.probes * WARM_AFTER, "warm-up")
        outcome.first = self._scrape()
        self._go_on_until(lambda: outcome.ledger.probes >= plan.probes * STORM_AFTER, "before the storm")
        if plan.reloads:
            self._storm()
        ends = time.monotonic() + CALM
        self._go_on_until(
            lambda: outcome.ledger.probes >= plan.probes and time.monotonic() >= ends, "after the storm"
        )
        outcome.seconds = time.monotonic() - began
        outcome.last = self._scrape()
        outcome.lost += self._compared(State({}, {}))
        self._sites.write_beside()
        self._reload()
        self._go_on(1, "the last ones")
        # What was under way at a reload may be held (gc.freeze) until the next one.
        outcome.held = outcome.watch.look(outcome.ledger.probes).descriptors
        self._reload()
        self._go_on(CALM, "calm after")
        return outcome

    def _storm(self) -> None:
        outcome, plan = self._outcome, self._plan
        before = state_of(self._url)
        outcome.storm = Storm(self._sites, self._url, plan.reloads, random.Random(plan.seed))
        raging = outcome.storm.begin()
        self._go_on_until(lambda: not raging.is_alive(), "the storm")
        outcome.lost += self._compared(before)

    def _compared(self, before: State) -> list[str]:
        ledger = self._outcome.ledger
        ledger.follow()
        least = dict(ledger.of_site)
        after = state_of(self._url)
        time.sleep(_WRITTEN_WITHIN)
        ledger.follow()
        return lost(before, after, self._sites, ledger, least)

    def _go_on(self, seconds: float, part: str) -> None:
        ends = time.monotonic() + seconds
        self._go_on_until(lambda: time.monotonic() >= ends, part)

    def _go_on_until(self, over: Callable[[], bool], part: str) -> None:
        while not over():
            time.sleep(0.2)
            self._step()
        self._outcome.marks[part] = len(self._outcome.watch.samples)

    def _step(self) -> None:
        outcome, now = self._outcome, time.monotonic()
        outcome.ledger.follow()
        if now - self._looked >= 1:
            self._looked = now
            if outcome.watch.look(outcome.ledger.probes).resident_bytes == 0:
                raise CampaignError("the exporter has ended")
            self._tell(outcome)
        if now - self._scraped >= _SCRAPED_EVERY:
            self._scraped = now
            self._scrape()
        made = outcome.ledger.probes + len(outcome.ledger.beside)
        if made > self._seen:
            self._seen, self._progressed = made, now
        elif now - self._progressed > _STANDS_STILL:
            raise CampaignError(f"the exporter made no probe for {_STANDS_STILL:g} s")

    def _scrape(self) -> Scrape:
        began = time.monotonic()
        text = requests.get(f"{self._url}/metrics", timeout=PATIENCE).text
        return Scrape(time.monotonic() - began, 0, text)

    def _reload(self) -> None:
        answered = requests.post(f"{self._url}/-/reload", timeout=PATIENCE)
        if not answered.ok:
            raise CampaignError(f"the exporter does not take up its sites: {answered.text[:2000]}")


@contextmanager
def _exporter(folder: Path, file: Path) -> Iterator[Process]:
    port = free_port()
    command = [
        sys.executable, "-m", "exporter", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}",
        f"--results.file={folder / 'results.jsonl'}", "--no-config.enable-auto-reload",
    ]  # fmt: skip
    # Each thread's own arena is memory that is not in use and not given back: it would hide a leak.
    with running("exporter", command, port, folder, {**os.environ, "MALLOC_ARENA_MAX": "2"}) as process:
        yield process


def run(plan: Plan, folder: Path, tell: Tell) -> Outcome:
    """Run a campaign; logs and results stay in `folder`. Raises CampaignError and ProcessError."""
    with ExitStack() as stack:
        found = stack.enter_context(elsewhere(plan.seed, folder, plan.only))
        if not found:
            raise CampaignError(f"no behaviour begins with {' or '.join(plan.only)}")
        beside = stack.enter_context(serving(folder))
        sites = Sites.of(folder / "sites.yml", found, f"http://127.0.0.1:{beside.port}/", plan.rate)
        sites.write_beside()
        exporter = stack.enter_context(_exporter(folder, sites.file))
        outcome = Campaign(plan, folder, sites, exporter, tell).run()
        outcome.sites = len(sites.staying) + len(sites.going)
    outcome.log = (folder / "exporter.log").read_text("utf-8", "replace")
    return outcome
