"""Facts out of a simulated world and the rows in memory, as the remediator gathers them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.servers.server import Server, SshSettings
from remediator.configuration.policy import Policy, SitePolicy
from remediator.deciding.last_check import Said
from remediator.model.action import JSON, Target
from remediator.model.facts import Facts, Limits, Sites, Untold
from remediator.model.findings import ENTERED
from remediator.model.holds import Maintenance, Pause
from remediator.model.incident import REVISABLE, Incident, Mode, State
from remediator.model.seen import Canary, Look, Probe, SiteState
from tests.simulation.memory import Memory
from tests.simulation.plan import PLAYBOOKS, ServerPlan, SitePlan, What
from tests.simulation.world import World

EPOCH = 1_700_000_000.0
"""The machine's time at second 0."""
SILENT = ("unreachable", "timeout")


class Gathering:
    """Gathers facts; `clock` is the remediator's own, `time` the world's."""

    def __init__(self, world: World, memory: Memory) -> None:
        self._world = world
        self._memory = memory
        plan = world.plan
        self.limits = Limits(
            max_unhealthy=plan.max_unhealthy,
            attempts=plan.attempts,
            per=plan.per,
            cooldown=plan.cooldown,
            prove_within=30.0,
            approval_lasts=plan.approval_lasts,
        )
        servers = {one.name: _server(one) for one in plan.servers}
        self.targets = {one.name: _target(one, servers) for one in plan.sites}
        self._servers = {one.name: one.server for one in plan.sites if one.server is not None}
        self._sites: tuple[dict[str, str | None] | None, Sites] = (None, Sites())

    def mode(self, site: str, time: float) -> Mode:
        """Return the mode that sites.yml gives a site now."""
        if self._world.now(What.OBSERVED, time, site) is not None:
            return Mode.OBSERVE
        return self._world.sites[site].mode

    def policy(self, site: str, time: float) -> Policy:
        """Return what sites.yml says of one site now."""
        if self._world.now(What.REMOVED, time, site) is not None:
            return Policy({}, self.limits)
        plan = self._world.sites[site]
        found = SitePolicy(site, plan.root, self.targets[site], self.mode(site, time), plan.needs)
        return Policy({site: found}, self.limits)

    def pauses(self, time: float) -> tuple[Pause, ...]:
        """Return the pauses in force."""
        return tuple(
            Pause(one.where, "Ada", "at work", EPOCH + one.at, EPOCH + one.at + one.lasts)
            for one in self._world.every(What.PAUSED)
            if one.on(time)
        )

    def said(self, site: str, time: float, clock: float) -> Said:
        """Return what people say of a site now: what is asked again right before an act."""
        window = self._maintenance(self._world.sites[site], time, clock)
        return Said(self.pauses(time), window, self._silenced(site, time))

    def facts(self, incident: Incident, time: float, clock: float, started_at: float) -> Facts:
        """Return what is known of an incident now."""
        world, memory, site = self._world, self._memory, incident.site
        if world.now(What.REMOVED, time, site) is not None:
            return Facts(incident, known=False, limits=self.limits)
        plan, target = world.sites[site], self.targets[site]
        found: dict[str, Any] = {
            "has_recover": target is not None,
            "target": target,
            "target_key": target.label if target is not None else "",
            "mode": self.mode(site, time),
            "needs": plan.needs,
            "playbook": PLAYBOOKS[plan.playbook],
            "servers": self._servers,
            "sites": self._scheduled(time),
            "in_flight": frozenset(one.site for one in memory.unfinished()) - {site},
            "pauses": self.pauses(time),
            "maintenance": self._maintenance(plan, time, clock),
            "silenced": self._silenced(site, time),
            "storm": memory.storm,
            "started_at": started_at,
            "approvals": tuple(one for one in memory.approvals.values() if one.incident_id == incident.id),
            "lease": memory.leases.get(plan.server or ""),
            "history": memory.history(
                incident, plan.server, clock - max(self.limits.per, self.limits.cooldown)
            ),
        }
        if _worth_a_probe(incident, target is not None, found["sites"]):
            found |= self._probes(incident, plan, time, clock)
        return Facts(incident, limits=self.limits, epoch=memory.epoch, **found)

    def look(self, site: str, time: float, clock: float) -> Look:
        """Look at a site's server, and its Linode from outside."""
        server = self._world.sites[site].server
        assert server is not None
        found = self._world.linode(server, time)
        linode: JSON = None
        if found is not None:
            events: list[JSON] = [
                {
                    "id": number,
                    "action": what,
                    "status": "finished" if over else "started",
                    "username": "sitemedic" if ours else "somebody",
                    "created": f"{datetime.fromtimestamp(EPOCH + at, UTC):%Y-%m-%dT%H:%M:%S}",
                    "message": "",
                    "foreign": not ours,
                }
                for number, (at, what, over, ours) in enumerate(found[1])
            ]
            linode = {"status": found[0], "recent_events": events}
        ssh = self._world.ssh(server, time)
        return Look(clock, ssh, {"container": self._container(site, ssh, time), "linode": linode})

    def _container(self, site: str, ssh: str, time: float) -> JSON:
        told = self._world.now(What.CONTAINER_TOLD, time, site)
        if told is None or ssh not in ENTERED:
            return None
        return {"name": "web", "status": told.how, "exit_code": 1, "restart_count": 5}

    def _scheduled(self, time: float) -> Sites | None:
        world = self._world
        if world.now(What.NO_SITES, time) is not None:
            return None
        seen = world.scheduled(time)
        if self._sites[0] is not seen:
            states = {
                name: SiteState(name, reason is None, world.sites[name].root, reason=reason)
                for name, reason in seen.items()
            }
            self._sites = (seen, Sites(states))
        return self._sites[1]

    def _maintenance(self, plan: SitePlan, time: float, clock: float) -> Maintenance | None:
        for one in self._world.every(What.MAINTENANCE):
            if one.on(time) and one.where in ("", plan.name, plan.root, plan.server):
                return Maintenance("window", clock + one.at + one.lasts - time)
        return None

    def _silenced(self, site: str, time: float) -> bool | None:
        if self._world.now(What.SILENCES_UNKNOWN, time) is not None:
            return None
        return self._world.now(What.SILENCED, time, site) is not None

    def _probes(self, incident: Incident, plan: SitePlan, time: float, clock: float) -> dict[str, Any]:
        world, look = self._world, incident.look
        found: dict[str, Any] = {}
        if plan.server is not None:
            found["own_server"] = self._own(plan.server, look, time)
        if world.now(What.NO_PROBES, time) is not None:
            return found
        if look is not None and look.ssh in SILENT:
            beside = [one.name for one in world.plan.sites if one.server == plan.server and one is not plan]
            found["neighbours"] = tuple(Probe(name, world.seen(name, time) is None, clock) for name in beside)
        aged = world.now(What.AGED, time)
        at = clock - (aged.much if aged is not None else 0.0)
        reason = world.probe(plan.name, time, at)
        found["probe"] = Probe(plan.name, reason is None, at, reason)
        if reason is not None and plan.server is not None and world.now(What.NO_CANARIES, time) is None:
            found["canaries"] = tuple(Canary("c", ok) for ok in world.canaries(time))
        return found

    def _own(self, server: str, look: Look | None, time: float) -> bool | Untold:
        plan = self._world.servers[server]
        if plan.ours:
            return True
        asks_linode = look is not None and look.ssh in SILENT and plan.linode is not None
        if asks_linode and self._world.now(What.CUT, time) is not None:
            return Untold("the Linode API does not answer")
        return False


def _worth_a_probe(incident: Incident, has_recover: bool, sites: Sites | None) -> bool:
    """A site that its schedule saw failing is not probed where that could change nothing."""
    if sites is None or sites[incident.site].success is not False:
        return True
    if not has_recover:
        return False
    return incident.state is not State.NEEDS_HUMAN or incident.reason in REVISABLE


def _server(plan: ServerPlan) -> Server:
    ssh = None if plan.local else SshSettings(f"{plan.name}.example")
    return Server(plan.name, ssh, plan.linode, plan.may_reboot, plan.may_boot, plan.local)


def _target(plan: SitePlan, servers: dict[str, Server]) -> Target | None:
    if plan.server is None:
        return None
    server = servers[plan.server]
    match plan.containers:
        case 0:
            return Target(plan.name, server)
        case 1:
            return Target(plan.name, server, container=plan.container)
        case _:
            return Target(plan.name, server, container=plan.container, compose=("shop", plan.container))
