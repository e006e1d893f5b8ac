"""What is measured of a remediator; each measure runs one of its own, with a new database."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, ProcessError, stolen_seconds
from benchmarks.remediator_lab import Lab, Shape, lab
from benchmarks.remediator_report import Sample

MANY = 200
"""Alerts in a large notification."""
_EVERY = 0.05
"""Seconds between two notifications of one alert."""
_MANY_EVERY = 1.0
_WARM_UP = 10
_AT_ONCE = 32
"""Connections at once in a storm: Alertmanager notifies of each site by itself."""
_AFTER_STORM = 20.0
_MS = 1e3
_OPEN = "select count(*) from incidents where closed_at is null"
_CLOSED = "select count(*) from incidents where closed_at is not null"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    posts: int
    many_posts: int
    incidents: int
    storms: tuple[int, ...]
    restarts: int
    seconds: float


def disk(folder: Path, writes: int = 200) -> Sample:
    """Measure what one fsync costs here, after 4 KB each."""
    took = []
    handle = os.open(folder / "fsync", os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(writes):
            os.write(handle, b"x" * 4096)
            began = time.perf_counter()
            os.fsync(handle)
            took.append((time.perf_counter() - began) * _MS)
    finally:
        os.close(handle)
    return Sample("fsync of 4 KB", "", "ms", tuple(took))


def notifications(plan: Plan, folder: Path) -> Iterator[Sample]:
    """Measure notifications about sites without an incident: each opens one, or 200.

    These sites pass their probes, so that every one of them is looked at twice and closed meanwhile.
    """
    fresh = plan.incidents + _WARM_UP + plan.posts + (1 + plan.many_posts) * MANY
    for number, (load, shape) in enumerate(
        (
            ("nothing open", Shape(fresh)),
            (f"{plan.incidents:,} held back", Shape(fresh, plan.incidents, "0.1%")),
            (f"{plan.incidents:,} worked on", Shape(fresh, plan.incidents, "100%")),
        )
    ):
        with lab(folder / str(number), shape) as running:
            names = iter([f"site-{site}" for site in range(plan.incidents, fresh)])
            if shape.healed:
                running.open([f"site-{site}" for site in range(plan.incidents)])
            with running.webhook() as webhook:
                for _ in range(_WARM_UP):
                    webhook.post([next(names)])
                ones = [[next(names)] for _ in range(plan.posts)]
                yield _timed(running, "one alert", load, ones, _EVERY)
                webhook.post([next(names) for _ in range(MANY)])
                many = [[next(names) for _ in range(MANY)] for _ in range(plan.many_posts)]
                yield _timed(running, f"{MANY} alerts", load, many, _MANY_EVERY)


def _timed(running: Lab, measure: str, load: str, posts: Sequence[Sequence[str]], every: float) -> Sample:
    """Post one after the other, one each `every` seconds, and count what was stored."""
    before = running.count("select count(*) from notifications"), len(running.docker.restarts())
    began, cpu = time.monotonic(), running.remediator.cpu_seconds()
    stolen, took, bare = stolen_seconds(), [], []
    with running.webhook() as webhook, running.bare() as control:
        for number, sites in enumerate(posts):
            time.sleep(max(0.0, began + number * every - time.monotonic()))
            took.append(webhook.post(sites) * _MS)
            time.sleep(every / 2)  # a moment for what the notification set going
            bare.append(control.get() * _MS)
        refused = webhook.refused
    gone = time.monotonic() - began
    stored = running.count("select count(*) from notifications") - before[0]
    if stored != len(posts):
        raise ProcessError(f"{len(posts)} notifications were taken, {stored} stored")
    counts = {
        "refused": refused,
        "restarts": len(running.docker.restarts()) - before[1],
        "open": running.count(_OPEN),
        "CPU %": (running.remediator.cpu_seconds() - cpu) / gone * 100,
        "stolen %": (stolen_seconds() - stolen) / gone * 100,
    }
    control_sample = Sample("", "", "ms", tuple(bare))
    counts |= {f"bare p{share}": control_sample.quantile(share / 100) for share in (50, 99)}
    return Sample(measure, load, "ms", tuple(took), counts)


def storm(plan: Plan, folder: Path) -> Iterator[Sample]:
    """Let every site fail at once, each notified of by itself; nothing may be lost, and nothing touched."""
    for sites in plan.storms:
        names = [f"site-{number}" for number in range(sites)]
        with lab(folder / str(sites), Shape(sites, sites)) as running:
            process = running.remediator
            before = process.resident_bytes()
            running.fail(names)
            began = time.monotonic()
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                parts = [names[number::_AT_ONCE] for number in range(_AT_ONCE)]
                done = list(pool.map(lambda part: _post_all(running, part), parts))
            gone = time.monotonic() - began
            time.sleep(_AFTER_STORM)
            took = tuple(one * _MS for part, _ in done for one in part)
            counts = {"refused": sum(refused for _, refused in done), "seconds": gone}
            yield Sample(
                "a storm", f"{sites:,} sites", "ms", took, counts | _of_storm(running, sites, before)
            )


def _post_all(running: Lab, names: Sequence[str]) -> tuple[list[float], int]:
    with running.webhook() as webhook:
        return [webhook.post([name]) for name in names], webhook.refused


def _of_storm(running: Lab, sites: int, resident_before: int) -> dict[str, float]:
    stored = running.count("select count(*) from notifications")
    opened = running.count("select count(*) from incidents")
    if (stored, opened) != (sites, sites):
        raise ProcessError(f"{sites} alerts were taken; {stored} notifications, {opened} incidents stored")
    process: Process = running.remediator
    return {
        "stored": stored,
        "opened": opened,
        "acts": len(running.docker.restarts()),
        "attempts": running.count("select count(*) from attempts"),
        "MB before": resident_before / 1e6,
        "MB most": process.most_resident_bytes() / 1e6,
        "MB after": process.resident_bytes() / 1e6,
    }


def to_restart(plan: Plan, folder: Path) -> Iterator[Sample]:
    """Measure from the webhook to the start of `docker restart` on a server, one after the other."""
    shape = Shape(max(200, plan.restarts * 10), plan.restarts)
    took: list[float] = []
    with lab(folder / "lab", shape) as running, running.webhook() as webhook:
        for number in range(plan.restarts):
            running.fail([f"site-{number}"])
            time.sleep(2.5)  # what the schedule last saw is asked for every other second
            began = time.time()
            webhook.post([f"site-{number}"])
            running.until(lambda: len(running.docker.restarts()) > len(took), f"restart {len(took)}")
            when, name = running.docker.restarts()[-1]
            if name != f"app-{number}":
                raise ProcessError(f"{name} was restarted, not app-{number}")
            took.append(when - began)
            running.fail([])
            running.until(lambda: running.count(_CLOSED) == len(took), f"incident {len(took)} to end")
    yield Sample("to docker restart", "one at a time", "s", tuple(took))


def resting(plan: Plan, folder: Path) -> Iterator[Sample]:
    """Measure the CPU that it takes while nothing is posted; what is open is held back by the cap."""
    for incidents in dict.fromkeys((0, min(100, plan.incidents), plan.incidents)):
        names = [f"site-{number}" for number in range(incidents)]
        with lab(folder / str(incidents), Shape(max(1, incidents), incidents)) as running:
            if incidents:
                running.open(names)
            time.sleep(3.0)
            began, cpu = time.monotonic(), running.remediator.cpu_seconds()
            time.sleep(plan.seconds)
            share = (running.remediator.cpu_seconds() - cpu) / (time.monotonic() - began)
            yield Sample(
                "CPU at rest", f"{incidents:,} open", "% of a processor", (share * 100,),
                {"MB": running.remediator.resident_bytes() / 1e6},
            )  # fmt: skip
