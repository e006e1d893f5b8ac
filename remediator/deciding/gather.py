"""Gathers the facts that a decision is taken on: from the database, the exporter, and sites.yml."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from remediator.abreast import abreast
from remediator.clients.exporter import ExporterClient
from remediator.clock import off
from remediator.configuration.maintenance import open_window
from remediator.configuration.policy import Policy, SitePolicy
from remediator.deciding.decide import storm
from remediator.deciding.last_check import Withdrawn
from remediator.deciding.playbook import DEAD, LOOK
from remediator.deciding.whereabouts import OwnMachine, neighbours_of
from remediator.errors import ExporterError, SiteUnknownError
from remediator.guards import GUARDS
from remediator.guards.verdict import Allow
from remediator.metrics import Metrics
from remediator.model.action import Target, World
from remediator.model.containers import Containers
from remediator.model.facts import Facts, Sites, Step
from remediator.model.incident import REVISABLE, Attempt, Kind, State, kind_of
from remediator.model.seen import Canary, Probe
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store.database import Store, epoch, pauses
from remediator.store.storm import last_storm
from remediator.timing import Timing

T = TypeVar("T")
MOST_NEIGHBOURS = 20


class Shared(Generic[T]):
    """One answer for all who ask within `max_age` seconds, None where the exporter gave none."""

    def __init__(self, ask: Callable[[], T], max_age: float, failed: Callable[[], None]) -> None:
        self._ask = ask
        self._max_age = max_age
        self._failed = failed
        self._lock = threading.Lock()
        self._answer: T | None = None
        self._until = 0.0

    def get(self) -> T | None:
        """Return the answer, asking again where it is too old."""
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._answer = self._ask()
                except ExporterError:
                    self._answer = None
                    self._failed()
                self._until = time.monotonic() + self._max_age
            return self._answer


class Gatherer:
    """Gathers facts; touches nothing. Database trouble is raised as StoreError, other gaps become None."""

    def __init__(
        self,
        store: Store,
        exporter: ExporterClient,
        policy: Callable[[], Policy],
        world: Callable[[], World],
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
        silenced: Callable[[str], bool | None],
    ) -> None:
        self._now = now
        self._started_at = now()
        self._silenced = silenced
        self._store = store
        self._exporter = exporter
        self._policy = policy
        self._world = world
        self._metrics = metrics
        self._own = OwnMachine()
        self._reading = threading.Lock()  # one at a time: several would only contend for the interpreter
        failed = lambda: metrics.problem("exporter")  # noqa: E731
        self._sites: Shared[Sites] = Shared(exporter.sites, timing.sites_max_age, failed)
        self._containers: Shared[Containers | None] = Shared(
            exporter.containers, timing.sites_max_age, failed
        )
        self._canaries: Shared[tuple[Canary, ...]] = Shared(self._ask_canaries, timing.sites_max_age, failed)

    def sites(self) -> Sites | None:
        """Return what the exporter's schedule last saw, or None."""
        return self._sites.get()

    def containers(self) -> Containers | None:
        """Return what the exporter last saw of containers; None where that is not known."""
        return self._containers.get()

    def storm(self, attempt: Attempt, target: Target) -> Withdrawn | None:
        """Withdraw an attempt where so much fails by now, or every canary, that nothing may be touched."""
        policy = self._policy()
        with self._store.read() as connection:
            incident = store_incidents.get(connection, attempt.incident_id)
            in_flight = store_attempts.in_flight(connection) - {attempt.site}
        if incident is None:
            return None
        facts = Facts(
            incident=incident,
            target=target,
            sites=self._sites.get(),
            canaries=self._canaries.get(),
            servers=policy.servers,
            in_flight=in_flight,
            limits=policy.limits,
        )
        found = storm(facts, Step(attempt.step, attempt.action), self._now())
        return Withdrawn(*found) if found else None

    def gather(self, incident_id: int) -> Facts | None:
        """Return what is known of an incident now; None where it is closed or has an attempt under way."""
        policy = self._policy()
        with self._reading:
            facts = self._from_store(incident_id, policy)
        if facts is None or not facts.known:
            return facts
        facts = replace(facts, sites=self._sites.get())
        if not _worth_a_probe(facts):
            return facts
        if facts.target is not None:  # before the site's own probe, which must be the freshest
            facts = self._with_its_server(facts, facts.target, policy)
        try:
            facts = replace(facts, probe=self._exporter.probe(facts.incident.site))
        except SiteUnknownError:
            return facts
        except ExporterError:
            self._metrics.problem("exporter")
            return facts
        if facts.probe is None or facts.probe.success or not facts.has_recover:
            return facts
        return replace(facts, canaries=self._canaries.get())

    def _with_its_server(self, facts: Facts, target: Target, policy: Policy) -> Facts:
        """Add whose machine the server is and, where it may have to be rebooted, who else is on it."""
        look = facts.incident.look
        if look is None or look.ssh not in DEAD:
            return replace(facts, own_server=self._own.is_server(target.server, None))
        return replace(
            facts,
            own_server=self._own.is_server(target.server, self._world().linode),
            neighbours=self._probe_neighbours(target, policy, facts.sites),
        )

    def _from_store(self, incident_id: int, policy: Policy) -> Facts | None:
        with self._store.read() as connection:
            incident = store_incidents.get(connection, incident_id)
            if incident is None or incident.closed_at is not None:
                return None
            if incident.state in (State.ATTEMPTING, State.VERIFYING):
                return None
            site = policy.sites.get(incident.site)
            target = site.target if site else None
            server = target.server.name if target else None
            limits, now = policy.limits, self._now()
            since = now - max(limits.per, limits.cooldown)
            return Facts(
                incident=incident,
                known=site is not None,
                has_recover=target is not None,
                target=target,
                target_key=target.label if target else "",
                mode=(site or SitePolicy("", "")).mode,
                needs=site.needs if site else (),
                servers=policy.servers,
                in_flight=store_attempts.in_flight(connection) - {incident.site},
                pauses=pauses(connection),
                maintenance=open_window(policy.windows, incident.site, server, now, off(self._now)),
                silenced=self._silenced(incident.site),
                storm=last_storm(connection),
                started_at=self._started_at,
                approvals=store_approvals.of_incident(connection, incident.id),
                lease=store_attempts.lease_of(connection, server) if server else None,
                history=store_attempts.history(connection, incident.id, incident.site, server, since),
                playbook=(site or SitePolicy("", "")).playbook,
                limits=limits,
                epoch=epoch(connection),
            )

    def _ask_canaries(self) -> tuple[Canary, ...]:
        """Ask the exporter's canaries; where it has none, the Linode API's address serves as one."""
        found = self._exporter.canaries()
        linode = self._world().linode
        if found or linode is None:
            return found
        return (Canary("the Linode API", linode.reachable()),)

    def _probe_neighbours(
        self, target: Target, policy: Policy, sites: Sites | None
    ) -> tuple[Probe, ...] | None:
        """Probe the other sites of a server at once; None where one gave no answer, or not all can be asked.

        Of very many only some are asked: those that the schedule last saw as failing may be left out.
        """
        others = neighbours_of(target.site, target.server, policy.servers, sites)
        left_out = others[MOST_NEIGHBOURS:]
        if any(sites is None or name not in sites.failing for name in left_out):
            return None
        try:
            found = abreast([partial(self._probe_neighbour, name) for name in others[:MOST_NEIGHBOURS]])
        except ExporterError:
            return None
        return tuple(probe for probe in found if probe is not None)

    def _probe_neighbour(self, name: str) -> Probe | None:
        try:
            return self._exporter.probe(name)
        except SiteUnknownError:
            return None


def _worth_a_probe(facts: Facts) -> bool:
    """Tell whether a fresh probe could change anything: a storm must not probe every site again.

    What the schedule saw as healthy is always worth one, since only a fresh probe closes an incident.
    """
    state = facts.sites.get(facts.incident.site) if facts.sites else None
    if facts.sites is None or state is None or state.success is not False:
        return True
    if not facts.has_recover:
        return False
    if facts.incident.state is State.NEEDS_HUMAN:
        return facts.incident.reason in REVISABLE and kind_of(state.reason) is not Kind.FOR_A_HUMAN
    return isinstance(GUARDS["max_unhealthy"](facts, Step(LOOK, None), 0.0), Allow)
