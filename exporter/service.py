"""The exporter put together: sites, their schedule, their state, and probes on demand."""

import asyncio
import gc
import logging
from collections.abc import Sequence

from core.logs import fields
from exporter.answers import result_line
from exporter.configuration import BY_PROBER, Configuration, default_timeout
from exporter.confirming import Confirming
from exporter.containers.service import Containers
from exporter.exposition import keep_ready
from exporter.health import Health
from exporter.heartbeats.book import Heartbeats
from exporter.heartbeats.file import HeartbeatFile, usual_folder
from exporter.history import History
from exporter.module import Module
from exporter.probe import Probers
from exporter.probers import ProbeLog
from exporter.probers.prober import Barred
from exporter.result import Result
from exporter.results_file import ResultsFile
from exporter.scheduler import Scheduler
from exporter.site_options import prober_of
from exporter.state import SiteState
from exporter.target import instance
from exporter.watched import WatchedSite

_log = logging.getLogger(__name__)

CANCELLED_WITHIN = 1.0
"""Seconds after a reload until the probes that it cancelled are gone."""


class Exporter:
    """Probes the sites of a configuration on their schedule, and any target when asked."""

    def __init__(
        self,
        configuration: Configuration,
        probers: Probers,
        health: Health,
        results: ResultsFile | None = None,
        history: History | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        """Take up `configuration`; needs a running loop. Nothing is probed before `start`."""
        self.configuration = configuration
        self.states: dict[str, SiteState] = {}
        self.health = health
        self.running = False
        self._probers = probers
        self._results = results
        self.history = history or History()
        self.containers = Containers()
        self.heartbeats = heartbeats or Heartbeats(
            HeartbeatFile(usual_folder(configuration.files[0])), health
        )
        self._scheduler = Scheduler(self._scheduled, health.lateness.observe, self._skipped)
        self._confirming = Confirming(self._scheduler, health)
        health.in_flight.set_function(lambda: self._scheduler.in_flight)

    def start(self) -> None:
        """Begin to probe."""
        self.apply(self.configuration)
        self.running = True

    async def stop(self) -> None:
        """Cancel what is being probed and free everything but the results file."""
        self.running = False
        await self._scheduler.stop()
        await self._probers.close()
        await self.containers.stop()
        await self.heartbeats.close()

    def apply(self, configuration: Configuration) -> None:
        """Watch the sites of `configuration`: those that stay keep their state and their place."""
        self.heartbeats.follow(configuration.sites)
        before, self.states = self.states, {}
        renewed = set()
        for site in configuration.sites:
            state = before.get(site.name)
            if state is None:
                state = SiteState(site)
            elif state.site != site:
                if not site.probed_like(state.site):
                    renewed.add(site.name)
                state.follow(site)
            self.states[site.name] = state
        self.configuration = configuration
        self.containers.apply(configuration.containers)
        self._scheduler.plan({site.name: site.interval for site in configuration.sites}, renewed)
        self._probers.keep_resolvers({site.resolver for site in configuration.sites if site.resolver})
        self.health.sites.set(len(self.states))
        asyncio.get_running_loop().call_later(CANCELLED_WITHIN, _spare_what_stays)

    def clock_was_set(self, wall: float, now: float) -> None:
        """Tell all times anew, as the wall clock does now; `now` is the monotonic one's."""
        for state in self.states.values():
            state.correct(wall, now)
        self.health.correct(wall, now)

    def complaint(self, module: Module) -> tuple[str, str] | None:
        """Return why the module cannot be used, as (key, message), None where it can."""
        return self._probers.complaint(module)

    async def probe_site(self, site: WatchedSite, at_most: float | None = None) -> Result:
        """Probe a site now, beside its schedule; its state does not see it."""
        timeout = site.timeout if at_most is None else min(site.timeout, at_most)
        return await self._probe(site, timeout)

    async def probe_target(
        self,
        target: str,
        module: Module,
        seconds: float,
        hostname: str | None = None,
        log: ProbeLog | None = None,
        barred: Barred | None = None,
    ) -> Result:
        """Probe any target now, but connect to no place that is `barred`."""
        return await self._probers.probe(target, module, seconds, hostname=hostname, log=log, barred=barred)

    async def probe_canaries(self) -> Sequence[tuple[str, Result]]:
        """Probe all canaries now; returns (address as it may be shown, result)."""
        canaries = self.configuration.canaries
        results = await asyncio.gather(*(self._probe_canary(canary) for canary in canaries))
        return [(instance(canary), result) for canary, result in zip(canaries, results, strict=True)]

    async def _probe_canary(self, canary: str) -> Result:
        module = self.configuration.modules[BY_PROBER[prober_of(canary)]]
        return await self._probers.probe(canary, module, module.timeout or default_timeout(float("inf")))

    async def called(self, name: str) -> None:
        """Look at a heartbeat site that was called, if that changes anything."""
        state = self.states.get(name)
        if state is None:
            return
        if state.last is None or state.last.success != self.heartbeats.look(state.site).success:
            await self._scheduled(name)

    async def _probe(self, site: WatchedSite, seconds: float, log: ProbeLog | None = None) -> Result:
        if site.heartbeat is not None:
            return self.heartbeats.look(site)
        return await self._probers.probe(site.url, site.module, seconds, log=log, resolver=site.resolver)

    async def _scheduled(self, name: str) -> None:
        state = self.states[name]
        site = state.site
        before = state.last
        # Steps cost a few percent of a probe: they are kept for the sites that somebody will ask about.
        log = ProbeLog() if before is not None and not before.success else None
        result = await self._probe(site, site.timeout, log)
        if not result.success:
            self.history.failure_of(site.name, site.module, site.instance, result, log)
        state.record(result)
        keep_ready(state)
        if self._results is not None:
            self._results.append(result_line(site, result))
        if before is None or before.success != result.success:
            _tell_change(site, before, result)
        if not result.success or (before is not None and not before.success):
            self._confirming.after(site, before, result)

    def _skipped(self, name: str, count: int) -> None:
        self.health.skipped.inc(count)
        _log.debug("probe skipped", extra=fields(site=name, count=count))


def _spare_what_stays() -> None:
    """Take what lives long out of the collector's walks, each of which would halt the probes.

    What has just been cancelled must be gone by then: it would be kept too, with its sockets.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _tell_change(site: WatchedSite, before: Result | None, result: Result) -> None:
    if not result.success:
        _log.info(
            "site fails",
            extra=fields(site=site.name, instance=site.instance, reason=result.reason, detail=result.detail),
        )
    elif before is not None:
        _log.info("site succeeds again", extra=fields(site=site.name, instance=site.instance))
