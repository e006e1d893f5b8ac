"""CPU per probe: window by window in turn, ours and blackbox_exporter's under the same load."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.alone import alone
from benchmarks.open_loop import Driven, OpenLoop
from benchmarks.peers import Peers
from benchmarks.processes import Process
from benchmarks.report import (
    ALONE,
    ALONE_CLOSED,
    NAMES,
    NAMES_MUTE,
    ON_DEMAND,
    ON_DEMAND_CLOSED,
    ON_DEMAND_HTTPS,
    PEER,
    PEER_CLOSED,
    PEER_HTTPS,
    PEER_NAMES,
    SCHEDULED,
    Sample,
)
from benchmarks.scheduled import Schedule, watch, watching

_MUTE_SHARE = 0.05
_TIMEOUT = 5.0
_HTTPS_RATE = 200.0
"""Probes a second: blackbox_exporter takes some 2 ms for one."""


@dataclass(frozen=True)
class Plan:
    """What a run measures."""

    seconds: float
    rate: float
    sizes: tuple[int, ...]
    rounds: int
    warm_up: float


async def by_size(peers: Peers, plan: Plan) -> AsyncIterator[Sample]:
    """Measure ours with few and many sites, and both on demand at the same rate."""
    for sites in plan.sizes:
        schedule = Schedule.of(sites, plan.rate)
        yield await _scheduled(SCHEDULED, peers, schedule, plan, peers.urls(sites))
        yield await _driven(PEER, peers.blackbox, [peers.url], schedule, plan)
        yield await _driven(ON_DEMAND, peers.on_demand, [peers.url], schedule, plan)


async def alone_and_closed(peers: Peers, plan: Plan) -> AsyncIterator[Sample]:
    """Measure libcurl alone, and everybody in a closed loop."""
    sites = max(plan.sizes)
    yield _sample(ALONE, sites, plan.rate, await alone(peers.url, plan.seconds, plan.rate))
    yield _sample(ALONE_CLOSED, sites, 0.0, await alone(peers.url, plan.seconds, 0.0))
    for kind, process in ((PEER_CLOSED, peers.blackbox), (ON_DEMAND_CLOSED, peers.on_demand)):
        async with OpenLoop(process, [peers.url]) as loop:
            await loop.drive_closed(plan.warm_up)
            yield _sample(kind, sites, 0.0, await loop.drive_closed(plan.seconds), process)


async def by_names(peers: Peers, plan: Plan) -> AsyncIterator[Sample]:
    """Measure sites under names of their own, each asked for at each probe; none where none can be served."""
    if peers.resolv_conf is None:
        return
    sites = max(plan.sizes)
    schedule, mute = Schedule.of(sites, plan.rate), round(sites * _MUTE_SHARE)
    yield await _scheduled(NAMES, peers, schedule, plan, peers.named_urls(sites))
    yield await _scheduled(NAMES_MUTE, peers, schedule, plan, peers.named_urls(sites, mute), mute)
    yield await _driven(PEER_NAMES, peers.blackbox, peers.named_urls(sites), schedule, plan)


async def over_tls(peers: Peers, plan: Plan) -> AsyncIterator[Sample]:
    """Measure both on demand over TLS."""
    schedule = Schedule.of(max(plan.sizes), min(plan.rate, _HTTPS_RATE))
    for kind, process in ((PEER_HTTPS, peers.blackbox), (ON_DEMAND_HTTPS, peers.on_demand)):
        yield await _driven(kind, process, [peers.secure_url], schedule, plan, "https_2xx")


async def _scheduled(
    kind: str, peers: Peers, schedule: Schedule, plan: Plan, urls: Sequence[str], failing: int = 0
) -> Sample:
    folder, names = peers.folder, peers.resolv_conf
    async with watching(schedule, urls, folder, names) as process:
        await asyncio.sleep(plan.warm_up + (_TIMEOUT if failing else 0.0))
        found = await watch(process, schedule.sites, plan.seconds, failing)
        return Sample(
            kind, schedule.sites, schedule.rate,
            resident_bytes=process.resident_bytes(), load=os.getloadavg()[0],
            **asdict(found),
        )  # fmt: skip


async def _driven(
    kind: str,
    process: Process,
    targets: Sequence[str],
    schedule: Schedule,
    plan: Plan,
    module: str = "http_2xx",
) -> Sample:
    async with OpenLoop(process, targets, module) as loop:
        await loop.drive(schedule.rate, plan.warm_up)
        found = await loop.drive(schedule.rate, plan.seconds)
    return _sample(kind, schedule.sites, schedule.rate, found, process)


def _sample(kind: str, sites: int, rate: float, found: Driven, process: Process | None = None) -> Sample:
    memory = process.resident_bytes() if process else None
    return Sample(kind, sites, rate, **asdict(found), resident_bytes=memory, load=os.getloadavg()[0])
