"""Our exporter with sites of its own: started, warmed up, scraped and measured."""

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.connection import AnswerError, Connection
from benchmarks.names import asking
from benchmarks.processes import Process, free_port, running
from benchmarks.scrape import Scrape, lateness_quantile, scrape

SCRAPE_INTERVAL = 15.0
"""Seconds between scrapes at most, as the stack's Prometheus has it."""

_SETTLES_WITHIN = 2.0
_PROBES, _FAILURES = "sitemedic_probes_total", "sitemedic_probe_failures_total"


@dataclass(frozen=True)
class Schedule:
    """How many sites are probed, and how often."""

    sites: int
    interval: float
    """Seconds, at least one: the probes of few sites are fewer than the rate that was asked for."""

    @classmethod
    def of(cls, sites: int, rate: float) -> "Schedule":
        """Return the schedule of `sites` that comes closest to `rate` probes a second."""
        return cls(sites, max(1.0, sites / rate))

    @property
    def rate(self) -> float:
        """Return the probes a second."""
        return self.sites / self.interval


@dataclass(frozen=True)
class Watched:
    """What one window of an exporter with sites showed."""

    probes: int
    seconds: float
    """From the end of the first scrape to the end of the last one."""
    cpu_seconds: float
    scrapes: tuple[float, ...]
    """How long each scrape in the window took, in seconds."""
    scrape_bytes: int
    scrape_packed_bytes: int
    series_per_site: float
    lateness_p99_seconds: float


@asynccontextmanager
async def watching(
    schedule: Schedule, urls: Sequence[str], folder: Path, resolv_conf: Path | None = None, *flags: str
) -> AsyncIterator[Process]:
    """Run our exporter over `schedule`, a site for each of `urls`, from when all were probed.

    Raises ProcessError.
    """
    file, port = folder / "sites.yml", free_port()
    sites = [{"name": f"site-{number}", "url": url} for number, url in enumerate(urls)]
    defaults = {"interval": schedule.interval, "timeout": min(5.0, 0.95 * schedule.interval)}
    # JSON is YAML.
    file.write_text(json.dumps({"defaults": defaults, "sites": sites}), "utf-8")
    command = [sys.executable, "-m", "exporter", f"--config.file={file}", *flags]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    name = f"exporter with {schedule.sites} sites"
    with running(name, asking(resolv_conf, command), port, folder) as process:
        await asyncio.sleep(schedule.interval + _SETTLES_WITHIN)
        yield process


async def watch(process: Process, sites: int, seconds: float, failing: int = 0) -> Watched:
    """Measure `process` for `seconds`; raises AnswerError when more or fewer sites than `failing` fail.

    The scrapes are evenly spaced, the last one ends the window, and the counters are read from them:
    so exactly as many scrapes are paid for as probes are counted between.
    """
    connection = await Connection.to(process)
    try:
        first = await scrape(connection)
        began, cpu = time.monotonic(), process.cpu_seconds()
        count, scrapes = math.ceil(seconds / SCRAPE_INTERVAL), [first]
        for number in range(1, count + 1):
            await asyncio.sleep(began + number * seconds / count - time.monotonic())
            scrapes.append(await scrape(connection))
        spent, took = process.cpu_seconds() - cpu, time.monotonic() - began
    finally:
        connection.close()
    _check(scrapes, sites, failing)
    last = scrapes[-1]
    return Watched(
        probes=round(last.total(_PROBES) - first.total(_PROBES)),
        seconds=took,
        cpu_seconds=spent,
        scrapes=tuple(each.seconds for each in scrapes[1:]),
        scrape_bytes=len(last.text),
        scrape_packed_bytes=last.packed_bytes,
        series_per_site=last.series_of_sites() / sites,
        lateness_p99_seconds=lateness_quantile(first, last, 0.99),
    )


def _check(scrapes: list[Scrape], sites: int, failing: int) -> None:
    for each in scrapes:
        succeeded = each.count("probe_success", "1")
        failures = [line for line in each.text.splitlines() if line.startswith(f"{_FAILURES}{{")]
        if succeeded != sites - failing or len(failures) != failing:
            raise AnswerError(
                f"of {sites} sites {succeeded} were probed with success; failures: {failures[:3]}"
            )
