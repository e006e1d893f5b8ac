"""The world of a simulation: what is really so at a time, and the ledger of what was really done to it.

Times are seconds since the beginning. Nothing here knows of facts, guards or decisions.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.simulation.plan import Cure, Plan, ServerPlan, SitePlan, Trouble, What

TICK = 15.0
"""The exporter's interval: what its schedule saw is this old at most."""
BOOTS = 40.0
"""Seconds for which a rebooted server is away."""
FOREIGN_SECONDS = 600.0
"""For how long somebody else's use of a Linode's power is respected."""
HEALING = {
    "restart_container": (Cure.RESTART, Cure.SECOND_RESTART),
    "run_hook": (Cure.HOOK,),
    "reboot_linode": (Cure.REBOOT, Cure.RESTART),
    "boot_linode": (Cure.BOOT,),
}
POWER = ("reboot_linode", "boot_linode")


@dataclass(frozen=True)
class Act:
    """One side effect, as it really happened; `clock` is what the remediator's clock said."""

    time: float
    clock: float
    action: str
    site: str
    server: str
    container: str
    step: str
    incident: int
    attempt: int


@dataclass
class World:
    """All that is so: the plan, what has been cured when, and what was done."""

    plan: Plan
    cured: dict[int, float] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    probed: dict[str, tuple[float, bool]] = field(default_factory=dict)
    restarts: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.sites: dict[str, SitePlan] = {one.name: one for one in self.plan.sites}
        self.servers: dict[str, ServerPlan] = {one.name: one for one in self.plan.servers}
        self._by_what: dict[What, list[Trouble]] = defaultdict(list)
        for one in self.plan.troubles:
            self._by_what[one.what].append(one)
        self._seen: tuple[float, dict[str, str | None]] = (-1.0, {})

    def now(self, what: What, time: float, where: str = "") -> Trouble | None:
        """Return what is the matter with a site, a server, or everything (where the trouble says nothing)."""
        for one in self._by_what.get(what, ()):
            if one.at <= time < one.at + one.lasts and one.where in (where, ""):
                cured = self.cured.get(id(one))
                if cured is None or time < cured:
                    return one
        return None

    def every(self, what: What) -> list[Trouble]:
        """Return all troubles of one kind."""
        return self._by_what.get(what, [])

    def ill(self, site: str, time: float) -> str | None:
        """Return why a site does not work, None where it does: the truth, whoever can see it."""
        plan = self.sites[site]
        if plan.server is not None and not self.lives(plan.server, time):
            return "timeout"
        outage = self.now(What.OUTAGE, time, site)
        if outage is not None:
            return outage.how
        flapping = self.now(What.FLAPPING, time, site)
        if flapping is not None and int((time - flapping.at) / flapping.much) % 2 == 0:
            return flapping.how
        storm = self.now(What.STORM, time)
        if storm is not None and self._rank(site) < storm.much:
            return storm.how
        return None

    def seen(self, site: str, time: float) -> str | None:
        """Return what a probe from the monitor says: the network between may be cut."""
        return "timeout" if self.now(What.CUT, time) is not None else self.ill(site, time)

    def lives(self, server: str, time: float) -> bool:
        """Tell whether a server runs."""
        if self.now(What.SERVER_DEAD, time, server) or self.now(What.SERVER_OFF, time, server):
            return False
        if self.now(What.FOREIGN_EVENT, time, server) is not None:
            return False
        return not any(
            one.server == server and one.action in POWER and one.time <= time < one.time + BOOTS
            for one in reversed(self.acts)
        )

    def ssh(self, server: str, time: float) -> str:
        """Return what somebody who wants to go in meets."""
        plan = self.servers[server]
        if plan.local:
            return "local"
        if self.now(What.CUT, time) is not None or not self.lives(server, time):
            return "unreachable"
        trouble = self.now(What.NO_WAY_IN, time, server)
        return trouble.how if trouble is not None else "ok"

    def linode(self, server: str, time: float) -> tuple[str, list[tuple[float, str, bool, bool]]] | None:
        """Return a Linode's status, and its power events: when, which, whether over, whether ours."""
        if self.servers[server].linode is None or self.now(What.CUT, time) is not None:
            return None
        events = [
            (one.at, "linode_reboot", time >= one.at + one.lasts, False)
            for one in self.every(What.FOREIGN_EVENT)
            if one.where == server and one.at <= time
        ]
        own = [one for one in self.acts if one.server == server and one.action in POWER]
        events += [
            (one.time, one.action.replace("reboot_linode", "linode_reboot"), time >= one.time + BOOTS, True)
            for one in own
        ]
        status = "running"
        if self.now(What.SERVER_OFF, time, server) is not None:
            status = "offline"
        if any(not over for _at, _what, over, _ours in events):
            status = "rebooting"
        return status, sorted(events, reverse=True)[:10]

    def foreign_until(self, server: str, time: float) -> float:
        """Return until when somebody else's use of a Linode's power is to be respected, as seen now."""
        seen = [one for one in self.every(What.FOREIGN_EVENT) if one.where == server and one.at <= time]
        return max((one.at + FOREIGN_SECONDS for one in seen), default=0.0)

    def scheduled(self, time: float) -> dict[str, str | None]:
        """Return what the exporter's schedule saw last of every site."""
        tick = time // TICK * TICK
        if self._seen[0] != tick:
            self._seen = (tick, {name: self.seen(name, tick) for name in self.sites})
        return self._seen[1]

    def canaries(self, time: float) -> list[bool]:
        """Return which canaries answer; with a cut that leaves another route, they do."""
        cut = self.now(What.CUT, time)
        return [cut is None or cut.how == "other_route"] * self.plan.canaries

    def probe(self, site: str, time: float, clock: float) -> str | None:
        """Probe a site, and remember that it was."""
        reason = self.seen(site, time)
        self.probed[site] = (clock, reason is None)
        return reason

    def do(self, act: Act) -> None:
        """Have a side effect: what it cures is cured, and what it takes down is down."""
        self.acts.append(act)
        everything = act.action in POWER
        for one in self.plan.troubles:
            if not one.on(act.time) or id(one) in self.cured or one.cure not in HEALING[act.action]:
                continue
            on_server = one.where == act.server or (everything and self._is_on(one.where, act.server))
            if one.where != act.site and not on_server:
                continue
            self.restarts[id(one)] += 1
            if one.cure is not Cure.SECOND_RESTART or self.restarts[id(one)] >= 2:
                self.cured[id(one)] = act.time + (BOOTS if everything else 0.0)

    def _is_on(self, site: str, server: str) -> bool:
        return site in self.sites and self.sites[site].server == server

    def _rank(self, site: str) -> float:
        return (list(self.sites).index(site) + 0.5) / len(self.sites)
