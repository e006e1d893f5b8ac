"""How true durations are: sites before a server whose delay is known, scraped meanwhile, some hanging."""

import asyncio
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.connection import AnswerError, Connection
from benchmarks.costs import Plan
from benchmarks.processes import Process, free_port, running
from benchmarks.report import Accuracy
from benchmarks.scheduled import Schedule, watching
from benchmarks.scrape import lateness_quantile, scrape

DELAY = 0.02
HANGING_SHARES = (0.0, 0.05)
_SCRAPE_EVERY = 5.0
"""Oftener than Prometheus does, so that enough probes are in flight meanwhile."""
_TIMEOUT = 5.0
_HANGING = "hang-"


@dataclass(frozen=True)
class _Scraped:
    """The scrapes of a window."""

    spans: tuple[tuple[float, float], ...]
    """When each began and ended, unix seconds."""
    lateness_p99: float
    load: float

    def meets(self, began: float, ended: float) -> bool:
        """Say whether a probe was in flight while a scrape was answered."""
        return any(began < end and ended > begin for begin, end in self.spans)


async def accuracy(plan: Plan, folder: Path, share: float) -> Accuracy:
    """Measure with a `share` of hanging sites. Raises AnswerError and ProcessError."""
    schedule = Schedule.of(max(plan.sizes), plan.rate)
    hanging, results = round(schedule.sites * share), folder / f"results-{share}.jsonl"
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.slow_server", str(port), str(DELAY))
    with running("slow server", command, port, folder) as server:
        names = [f"{_HANGING if number < hanging else ''}{number}" for number in range(schedule.sites)]
        urls = [f"http://127.0.0.1:{port}/{name}" for name in names]
        async with watching(schedule, urls, folder, None, f"--results.file={results}") as process:
            await asyncio.sleep(plan.warm_up)
            scraped = await _scrape(process, plan.seconds)
        delays = await _delays(server)
    found = list(_errors(results, delays, scraped.spans[0][0]))
    errors = sorted(error for error, _, _ in found)
    met = sorted(error for error, began, ended in found if scraped.meets(began, ended))
    return Accuracy(
        schedule.sites, hanging, len(errors), _quantile(errors, 0.5), _quantile(errors, 0.99),
        len(met), _quantile(met, 0.99), _quantile(met, 1.0), scraped.lateness_p99,
        tuple(end - begin for begin, end in scraped.spans), scraped.load,
    )  # fmt: skip


async def _scrape(process: Process, seconds: float) -> _Scraped:
    connection = await Connection.to(process)
    try:
        scrapes, spans, began = [], [], time.monotonic()
        for number in range(1 + max(1, round(seconds / _SCRAPE_EVERY))):
            await asyncio.sleep(began + number * _SCRAPE_EVERY - time.monotonic())
            now = time.time()
            scrapes.append(await scrape(connection))
            spans.append((now, now + scrapes[-1].seconds))
    finally:
        connection.close()
    late = lateness_quantile(scrapes[0], scrapes[-1], 0.99)
    return _Scraped(tuple(spans), late, os.getloadavg()[0])


async def _delays(server: Process) -> Mapping[str, Sequence[float]]:
    connection = await Connection.to(server)
    try:
        found: dict[str, list[float]] = json.loads(await connection.get("/delays"))
    finally:
        connection.close()
    return found


def _errors(
    results: Path, delays: Mapping[str, Sequence[float]], since: float
) -> Iterator[tuple[float, float, float]]:
    """Yield each probe's error with when it began and ended; a site's probes come in their order."""
    seen: Counter[str] = Counter()
    with results.open(encoding="utf-8") as lines:
        for result in map(json.loads, lines):
            name = result["instance"].rpartition("/")[2]
            if name.startswith(_HANGING):
                continue
            if not result["success"]:
                raise AnswerError(f"a probe of the slow server failed: {result}")
            delay = delays[name][seen[name]]
            seen[name] += 1
            if result["time"] >= since:
                took = result["duration_seconds"]
                yield took - delay, result["time"], result["time"] + took


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
