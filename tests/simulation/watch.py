"""The invariants, in words of the world: nothing here asks a guard, or believes what the remediator believed.

Each is checked when an act is decided on (claimed) and again, where it must still hold, when it is done.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from remediator.model.incident import CLOSED, Decision, Incident, Mode, Reason, State, Verb
from remediator.model.playbooks import PlannedStep
from tests.simulation.memory import Memory
from tests.simulation.plan import PLAYBOOKS, SitePlan, What
from tests.simulation.world import POWER, Act, World

PROBE_AGE = 10.0
STORM_COOLDOWN = 120.0
STORM_NOTED = 5.0
"""A storm that goes on is noted again this often, so that its cooldown may begin that much earlier."""
TAKEN_UP_AGAIN = ("for_a_human", "no_target", "cannot_tell")
"""Why an incident may be with a human and yet be taken up again: nothing was done in vain."""
START_GRACE = 15.0
ABANDONED_COOLDOWN = 10.0


class Broken(AssertionError):  # noqa: N818 - it says what is so
    """An invariant that does not hold; its name is the first word."""

    def __init__(self, invariant: str, detail: str = "") -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


@dataclass(frozen=True)
class Done:
    """An attempt that has ended."""

    site: str
    server: str
    container: str
    action: str
    step: str
    time: float
    clock: float
    wait: float


@dataclass
class Watch:
    """Sees everything that is decided and done."""

    world: World
    memory: Memory
    done: list[Done] = field(default_factory=list)
    under_way: dict[int, Act] = field(default_factory=dict)
    looked: dict[int, tuple[float, str, str]] = field(default_factory=dict)
    ended_at_look: dict[int, bool] = field(default_factory=dict)
    answers: dict[tuple[int, str], tuple[bool, float, bool]] = field(default_factory=dict)
    storm_at: tuple[float, float] = (-1e9, -1e9)
    started_at: float = 0.0
    decisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    # --- what is told to it ---

    def started(self, clock: float) -> None:
        """A process has begun."""
        self.started_at = clock

    def look(self, incident: int, server: str, time: float) -> None:
        """The remediator has looked at a server: what it could have seen of its Linode."""
        found = self.world.linode(server, time)
        status = found[0] if found is not None else "unknown"
        until, ssh = self.world.foreign_until(server, time), self.world.ssh(server, time)
        self.looked[incident] = (until, status, ssh)
        told = self.world.now(What.CONTAINER_TOLD, time, self.memory.incidents[incident].site)
        self.ended_at_look[incident] = told is not None and told.how == "exited" and ssh in ("ok", "local")

    def answered(self, incident: int, step: str, approved: bool, clock: float) -> None:
        """A person has answered."""
        self.answers[incident, step] = (approved, clock, False)

    def decided(self, incident: Incident, decision: Decision, time: float, clock: float) -> None:
        """Something was decided: count it, and see whether it was decided in a storm."""
        self.decisions[f"{decision.verb}/{decision.reason}"] += 1
        watched_only = incident.state is State.NEEDS_HUMAN or decision.reason in (
            Reason.PASSING,
            Reason.PROVED,
            Reason.SITE_REMOVED,
            Reason.NO_RECOVER,
            Reason.NO_FRESH_PROBE,
        )
        if not watched_only and self._storm(self.world.sites[incident.site], time):
            self.storm_at = (time, clock)
            if decision.verb is Verb.ESCALATE:
                raise Broken("a_human_in_a_storm", f"{incident.site}: {decision.reason}")

    def claimed(self, act: Act, state: State, reason: str | None) -> None:
        """An act was decided on, for an incident that was in this state: everything that must hold for it."""
        site = self._may_be_done(act)
        self._approved(act, site)
        if state is State.NEEDS_HUMAN and reason not in TAKEN_UP_AGAIN:
            raise Broken("with_a_human", f"{act.site}: {reason}")
        if self.memory.incidents[act.incident].alert != "SiteDown":
            self._before_its_site_is_down(act)
        self.under_way[act.attempt] = act
        answer = self.answers.get((act.incident, act.step))
        if answer is not None:
            self.answers[act.incident, act.step] = (answer[0], answer[1], True)

    def asked(self, act: Act) -> None:
        """People were asked whether it may be done: as soon as they say yes, it must be possible."""
        self._may_be_done(act)

    def _before_its_site_is_down(self, act: Act) -> None:
        """Nobody has said yet that the site is down: its container must have ended."""
        if act.action in POWER or not self.ended_at_look.get(act.incident, False):
            raise Broken("container_runs", f"{act.action} for {act.site}")

    def _may_be_done(self, act: Act) -> SitePlan:
        site = self.world.sites.get(act.site)
        if site is None or self.world.now(What.REMOVED, act.time, act.site) is not None:
            raise Broken("unknown_target", act.site)
        self._allowed_by_people(act, site)
        self._has_a_target(act, site)
        self._fails_now(act)
        self._not_everything_at_once(act, site)
        self._alone_on_its_server(act)
        self._within_budget(act)
        self._after_cooldown(act)
        self._in_order(act, site)
        self._not_too_often(act, site)
        if act.action in POWER:
            self._may_use_power(act)
        return site

    def acted(self, act: Act) -> None:
        """An act is done now: what may have changed since it was decided on."""
        self._allowed_by_people(act, self.world.sites[act.site])
        if self.world.now(What.REMOVED, act.time, act.site) is not None:
            raise Broken("unknown_target", act.site)
        self._fails_now(act)
        self._alone_on_its_server(act)
        if any(one.attempt == act.attempt for one in self.world.acts):
            raise Broken("twice", f"attempt {act.attempt}")
        if act.action == "reboot_linode" and self.world.ssh(act.server, act.time) == "ok":
            raise Broken("living_server", act.server)

    def ended(self, attempt: int, time: float, clock: float, counts: bool) -> None:
        """An attempt has its verdict."""
        act = self.under_way.pop(attempt, None)
        if act is not None:
            wait = self.world.plan.cooldown if counts else ABANDONED_COOLDOWN
            self.done.append(
                Done(act.site, act.server, act.container, act.action, act.step, time, clock, wait)
            )

    # --- what must hold ---

    def _allowed_by_people(self, act: Act, site: SitePlan) -> None:
        if self._paused(site, act.time):
            raise Broken("paused", act.site)
        for one in self.world.every(What.MAINTENANCE):
            if one.on(act.time) and one.where in ("", site.name, site.root, site.server):
                raise Broken("maintenance", act.site)
        if self.world.now(What.SILENCES_UNKNOWN, act.time) is not None:
            raise Broken("silences_unknown", act.site)
        if self.world.now(What.SILENCED, act.time, act.site) is not None:
            raise Broken("silenced", act.site)
        if Mode.OBSERVE in (site.mode, self._planned(act, site).mode):
            raise Broken("observe", act.site)
        if self.world.now(What.OBSERVED, act.time, act.site) is not None:
            raise Broken("observe", act.site)

    def _approved(self, act: Act, site: SitePlan) -> None:
        if Mode.APPROVE in (site.mode, self._planned(act, site).mode):
            approved, at, used = self.answers.get((act.incident, act.step), (False, 0.0, False))
            if not approved or used or act.clock >= at + self.world.plan.approval_lasts:
                raise Broken("unapproved", f"{act.step} of {act.site}")

    def _paused(self, site: SitePlan, time: float) -> bool:
        scopes = {"all", f"server:{site.server}"}
        parts = site.name.split("/")
        scopes |= {"site:" + "/".join(parts[: count + 1]) for count in range(len(parts))}
        return any(one.on(time) and one.where in scopes for one in self.world.every(What.PAUSED))

    def _has_a_target(self, act: Act, site: SitePlan) -> None:
        if site.server is None:
            raise Broken("no_target", act.site)
        if act.action == "restart_container" and site.containers != 1:
            raise Broken("no_target", f"{act.site}: {site.containers} containers")
        own = self.world.servers[site.server].ours and site.container.startswith("sitemedic-")
        if own and act.action == "restart_container":
            raise Broken("own_container", site.container)

    def _fails_now(self, act: Act) -> None:
        at, passed = self.world.probed.get(act.site, (-1e9, False))
        if passed or not -1.0 <= act.clock - at <= PROBE_AGE:
            raise Broken("no_failing_probe", f"{act.site}: {act.clock - at:.1f} s old, passed {passed}")

    def _unhealthy(self, site: SitePlan, time: float) -> set[str]:
        failing = {name for name, reason in self.world.scheduled(time).items() if reason is not None}
        return failing | {one.site for one in self.under_way.values()} | {site.name}

    def _over_the_cap(self, site: SitePlan, time: float) -> bool:
        """More is unhealthy than may be, and no single server or root site explains all of it."""
        unhealthy, sites = self._unhealthy(site, time), self.world.sites
        if self.world.plan.max_unhealthy <= 0:
            return True
        if len(sites) < 3 or len(unhealthy) <= self.world.plan.max_unhealthy * len(sites):
            return False
        if len({sites[name].root for name in unhealthy}) == 1:
            return False
        return not any(
            all(self._may_be_on(name, server) for name in unhealthy) for server in self.world.servers
        )

    def _may_be_on(self, name: str, server: str) -> bool:
        site = self.world.sites[name]
        if site.server is not None:
            return site.server == server
        return any(one.root == site.root and one.server == server for one in self.world.plan.sites)

    def _storm(self, site: SitePlan, time: float) -> bool:
        if self.world.plan.max_unhealthy <= 0:
            return False
        seen = self.world.now(What.NO_SITES, time) is None
        canaries = [] if self.world.now(What.NO_CANARIES, time) is not None else self.world.canaries(time)
        return (seen and self._over_the_cap(site, time)) or (bool(canaries) and not any(canaries))

    def _not_everything_at_once(self, act: Act, site: SitePlan) -> None:
        if self.world.now(What.NO_SITES, act.time) is not None:
            raise Broken("sites_unknown", act.site)
        if self._over_the_cap(site, act.time):
            raise Broken("over_the_cap", f"{sorted(self._unhealthy(site, act.time))}")
        self._one_at_a_time(act, site)
        canaries = self.world.canaries(act.time)
        unknown = self.world.now(What.NO_CANARIES, act.time) is not None
        if unknown or (canaries and not any(canaries)):
            raise Broken("no_canary", act.site)
        calm_for = max(act.time - self.storm_at[0], act.clock - self.storm_at[1])
        if calm_for < STORM_COOLDOWN - STORM_NOTED:
            raise Broken("after_a_storm", f"{calm_for:.0f} s")
        if act.clock < self.started_at + START_GRACE:
            raise Broken("start_up", f"{act.clock - self.started_at:.0f} s")

    def _one_at_a_time(self, act: Act, site: SitePlan) -> None:
        unhealthy = self._unhealthy(site, act.time)
        small = len(self.world.sites) < 3
        if not small and len(unhealthy) <= self.world.plan.max_unhealthy * len(self.world.sites):
            return
        if any(one.site != act.site for one in self.under_way.values()):
            raise Broken("one_at_a_time", act.site)
        silent = [
            name
            for name in unhealthy
            if self.world.sites[name].server not in (None, site.server)
            and self.world.scheduled(act.time)[name] not in (None, "status", "body")
        ]
        if act.action == "reboot_linode" and silent and not small:
            raise Broken("silent_elsewhere", silent[0])

    def _alone_on_its_server(self, act: Act) -> None:
        for one in self.under_way.values():
            if one.server == act.server and one.attempt != act.attempt:
                raise Broken("two_on_one_server", f"{one.site} and {act.site} on {act.server}")

    def _within_budget(self, act: Act) -> None:
        plan = self.world.plan
        recent = [one for one in self.world.acts if _since(one, act) < plan.per]
        same = [one for one in recent if one.site == act.site or _same_container(one, act)]
        if len(same) >= plan.attempts:
            raise Broken("budget", f"{len(same)} acts on {act.site}")
        power = [one for one in recent if one.server == act.server and one.action == "reboot_linode"]
        if act.action == "reboot_linode" and len(power) >= plan.attempts:
            raise Broken("budget", f"{len(power)} reboots of {act.server}")

    def _after_cooldown(self, act: Act) -> None:
        for one in self.done:
            wide = one.server == act.server and one.action == "reboot_linode"
            if not (wide or one.site == act.site or _same_container(one, act)):
                continue
            planned = PLAYBOOKS[self.world.sites[act.site].playbook].step(one.step)
            own = planned.wait if planned is not None and one.site == act.site else None
            if _since(one, act) < (one.wait if own is None else min(own, one.wait)):
                raise Broken("cooldown", f"{_since(one, act):.1f} s after {one.action}")

    def _in_order(self, act: Act, site: SitePlan) -> None:
        for name in site.needs:
            if self.world.scheduled(act.time)[name] is not None:
                raise Broken("needs", f"{act.site} needs {name}")

    def _not_too_often(self, act: Act, site: SitePlan) -> None:
        before = [one for one in self.world.acts if (one.incident, one.step) == (act.incident, act.step)]
        if len(before) >= self._planned(act, site).at_most:
            raise Broken("too_often", f"{act.step} {len(before)} times")

    def _planned(self, act: Act, site: SitePlan) -> PlannedStep:
        found = PLAYBOOKS[site.playbook].step(act.step)
        if found is None or found.action != act.action:
            raise Broken("unknown_step", f"{act.step} does {act.action}")
        return found

    def _may_use_power(self, act: Act) -> None:
        server = self.world.servers[act.server]
        if server.ours or server.local:
            raise Broken("own_host", act.action)
        allowed = server.may_reboot if act.action == "reboot_linode" else server.may_boot
        if server.linode is None or not allowed:
            raise Broken("not_allowed", f"{act.action} of {act.server}")
        until, status, ssh = self.looked.get(act.incident, (0.0, "", ""))
        if act.time < until or status == "rebooting":
            raise Broken("foreign_event", f"{act.action} of {act.server}")
        if ssh not in ("unreachable", "timeout"):
            raise Broken("living_server", f"{act.action} of {act.server}, SSH {ssh}")
        if act.action != "reboot_linode":
            return
        if not any(self.world.canaries(act.time)):
            raise Broken("no_canary", f"{act.action} of {act.server}")
        for name, one in self.world.sites.items():
            if name != act.site and one.server == act.server and self.world.seen(name, act.time) is None:
                raise Broken("healthy_neighbour", f"{act.action} under {name}")

    # --- how it must end ---

    def finish(self, time: float) -> None:
        """After a long calm: every incident is over, or with a human, or held for a reason one can see."""
        for number, incident in self.memory.incidents.items():
            if incident.state in CLOSED or incident.state is State.NEEDS_HUMAN:
                continue
            told = self.memory.decisions[number]
            if not told:
                raise Broken("not_decided", incident.site)
            last = told[-1]
            if self.world.ill(incident.site, time) is None:
                raise Broken("healthy_but_open", f"{incident.site}: {last.reason}")
            if last.verb in (Verb.ACT, Verb.LOOK) or incident.state in (State.ATTEMPTING, State.VERIFYING):
                raise Broken("endless", f"{incident.site}: {last.verb}/{last.reason}")
            if not self._held(incident, last):
                raise Broken("not_healed", f"{incident.site}: {last.verb}/{last.reason} {last.detail}")

    def _held(self, incident: Incident, last: Decision) -> bool:
        """Tell whether what holds an incident in a calm world is one of the things that may."""
        site = self.world.sites[incident.site]
        match last.reason:
            case Reason.NO_RECOVER:
                return site.server is None
            case Reason.OBSERVE_MODE:
                return site.mode is Mode.OBSERVE or site.playbook != "default"
            case Reason.APPROVAL_NEEDED:
                return incident.state is State.AWAITING_APPROVAL
            case Reason.TOO_MANY_UNHEALTHY | Reason.ONE_AT_A_TIME | Reason.NEED_UNHEALTHY:
                return True
        return False


def _since(one: Act | Done, act: Act) -> float:
    """Return the seconds between two things, by the clock that makes more of them: one may be set."""
    return max(act.time - one.time, act.clock - one.clock)


def _same_container(one: Act | Done, act: Act) -> bool:
    return (one.server, one.container) == (act.server, act.container)
