"""One remediator process in simulated time: it considers incidents and works attempts, as the real one does.

What it decides by is handed in; what it knows beyond the rows in memory is lost when it is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from remediator.deciding.decide import counts_anew, passes_with
from remediator.deciding.last_check import Withdrawn, before_the_act, lives_after_all
from remediator.model.facts import Facts
from remediator.model.holds import Answer
from remediator.model.incident import CLOSED, Attempt, Decision, Reason, Stage, State, Verb
from remediator.model.seen import Look
from tests.simulation.gathering import EPOCH, Gathering
from tests.simulation.memory import LEASE, Memory
from tests.simulation.plan import Plan, What
from tests.simulation.timeline import Timeline
from tests.simulation.watch import Watch
from tests.simulation.world import POWER, Act, World

Decide = Callable[[Facts, float], Decision]
RECHECK = 8.0
IDLE = 45.0
SPACING = 2.0
ROUND = 2.0
"""Attempts that were left behind are looked for this often."""
ASK_HAPPENED = 30.0
ACT_WITHIN = 60.0
PROVE_WITHIN = 30.0
SETTLES = {"restart_container": 3.0, "run_hook": 2.0, "reboot_linode": 10.0, "boot_linode": 10.0}
SETTLE_WITHIN = 120.0


@dataclass
class Process:
    """A process from its start to its kill; `skew` is what its clock is ahead of the world's."""

    world: World
    memory: Memory
    watch: Watch
    timeline: Timeline
    gathering: Gathering
    decide: Decide
    skew: float = 0.0
    alive: bool = True
    started_at: float = 0.0
    asked: int = 0
    same: dict[int, tuple[str, int]] = field(default_factory=dict)
    mine: set[int] = field(default_factory=set)

    @property
    def plan(self) -> Plan:
        """Return the plan."""
        return self.world.plan

    def clock(self, time: float) -> float:
        """Return the process's own time."""
        return EPOCH + time + self.skew

    def start(self, time: float) -> None:
        """Begin: look at everything that is open, and take up what was left behind."""
        clock = self.started_at = self.clock(time)
        self.memory.bring_back(clock)
        self.watch.started(clock)
        for incident in self.memory.incidents.values():
            if incident.state not in CLOSED:
                self.wake(incident.id, time)
        if self.memory.unfinished():
            self._later(time, self._adopt)

    def wake(self, incident: int, time: float) -> None:
        """Consider an incident now."""
        self.timeline.due(incident, time, lambda at: self._consider(incident, at) if self.alive else None)

    def _later(self, time: float, call: Callable[[float], None]) -> None:
        self.timeline.at(time, lambda at: call(at) if self.alive else None)

    # --- incidents ---

    def _consider(self, number: int, time: float) -> None:
        incident, clock = self.memory.incidents[number], self.clock(time)
        if incident.state in CLOSED or incident.state in (State.ATTEMPTING, State.VERIFYING):
            return
        facts = self.gathering.facts(incident, time, clock, self.started_at)
        decision = self.decide(facts, clock)
        self.watch.decided(incident, decision, time, clock)
        self._keep(facts, decision)
        if decision.storm is not None:
            self.memory.note_storm(decision.storm[0], clock)
        again = self._perform(facts, decision, time, clock)
        self.wake(number, time + again * self._patience(number, decision))

    def _patience(self, number: int, decision: Decision) -> float:
        """Look more and more rarely at what stays as it is: it spares time, and people wake it anyway."""
        last, times = self.same.get(number, ("", 0))
        times = times + 1 if last == decision.signature else 0
        self.same[number] = (decision.signature, times)
        return 1.0 if decision.verb not in (Verb.REFUSE, Verb.WAIT) else min(4.0, 1.3**times)

    def _keep(self, facts: Facts, decision: Decision) -> None:
        incident, passes = facts.incident, passes_with(facts)
        if facts.probe is not None and (passes != incident.passes or counts_anew(facts)):
            passed_at = facts.probe.time if facts.probe.success else None
            self.memory.change(incident.id, passes=passes, passed_at=passed_at)
        if decision.signature != incident.decided:
            self.memory.change(incident.id, decided=decision.signature)
            self.memory.decisions[incident.id].append(decision)

    def _perform(self, facts: Facts, decision: Decision, time: float, clock: float) -> float:
        """Do what was decided; return the seconds until the incident is considered again."""
        number = facts.incident.id
        match decision.verb:
            case Verb.ACT:
                return self._claim(facts, decision, time, clock)
            case Verb.LOOK:
                site = self.world.sites[facts.incident.site]
                self.memory.change(number, look=self.gathering.look(site.name, time, clock))
                self.watch.look(number, site.server or "", time)
                return 0.5
            case Verb.WAIT:
                until = decision.until if decision.until is not None else clock + RECHECK
                return SPACING if decision.reason is Reason.PASSING else min(max(until - clock, 1.0), RECHECK)
            case Verb.OBSERVE:
                self._move(number, State.OBSERVING, decision)
                return IDLE
            case Verb.ASK:
                self.watch.asked(self._act_of(facts, decision, time, clock, 0))
                self._ask(number, decision, time, clock)
                return RECHECK
            case Verb.ESCALATE:
                self._move(number, State.NEEDS_HUMAN, decision)
                return IDLE
            case Verb.CLOSE:
                self._move(number, State.RECOVERED if facts.known else State.REMOVED, decision)
        return RECHECK

    def _move(self, number: int, state: State, decision: Decision) -> None:
        self.memory.change(number, state=state, reason=decision.reason, detail=decision.detail)

    def _ask(self, number: int, decision: Decision, time: float, clock: float) -> None:
        self._move(number, State.AWAITING_APPROVAL, decision)
        question = self.memory.ask(number, decision, clock)
        if question is None or not self.plan.answers:
            return
        person = self.plan.answers[self.asked % len(self.plan.answers)]
        self.asked += 1
        if person.approved is not None:
            self._later(time + person.after, lambda at: self._answered(question, bool(person.approved), at))

    def _answered(self, question: int, approved: bool, time: float) -> None:
        said = Answer.APPROVED if approved else Answer.DENIED
        clock = self.clock(time)
        if self.memory.answer(question, said, clock, self.plan.approval_lasts):
            found = self.memory.approvals[question]
            self.watch.answered(found.incident_id, found.step, approved, clock)
            self.wake(found.incident_id, time)

    # --- attempts ---

    def _claim(self, facts: Facts, decision: Decision, time: float, clock: float) -> float:
        incident, target = facts.incident, facts.target
        act = self._act_of(facts, decision, time, clock, len(self.memory.attempts) + 1)
        if target is None:
            self.watch.claimed(act, incident.state, incident.reason)
            return RECHECK
        values = {"server": act.server, "target": act.container, "action": act.action, "step": act.step}
        number = self.memory.claim(incident, values, facts.epoch, clock)
        if number is None:
            return 1.0
        self.mine.add(number)
        self.watch.claimed(act, incident.state, incident.reason)
        self._later(time + 1.0, lambda at: self._prepared(number, at))
        return RECHECK

    def _act_of(self, facts: Facts, decision: Decision, time: float, clock: float, number: int) -> Act:
        server = facts.target.server.name if facts.target is not None else ""
        return Act(
            time, clock, decision.action or "", facts.incident.site, server, facts.target_key,
            decision.step or "", facts.incident.id, number,
        )  # fmt: skip

    def _holds(self, number: int, time: float) -> Attempt:
        """Return an attempt's row, its lease made longer."""
        found = self.memory.attempts[number]
        self.memory.lengthen(found.server, self.clock(time) + LEASE)
        return found

    def _finish(self, number: int, stage: Stage, reason: str, time: float, permanent: bool = False) -> None:
        clock = self.clock(time)
        self.memory.finish(number, stage, clock, reason=reason, permanent=permanent)
        found = self.memory.attempts[number]
        self.watch.ended(number, time, clock, found.counts)
        self.wake(found.incident_id, time)

    def _prepared(self, number: int, time: float) -> None:
        attempt, clock = self._holds(number, time), self.clock(time)
        trouble = self.world.now(What.ACT_FAILS, time, attempt.server)
        if trouble is not None and trouble.how == "abandoned":
            self._finish(number, Stage.ABANDONED, "target_gone", time)
            return
        if self._refuses(attempt, time):
            return
        if self.world.now(What.NO_PROBES, time) is not None:
            if clock - attempt.stage_at > ACT_WITHIN:
                self._finish(number, Stage.ABANDONED, "no_fresh_probe", time)
            else:
                self._later(time + 1.0, lambda at: self._prepared(number, at))
            return
        if self.world.probe(attempt.site, time, clock) is None:
            self._finish(number, Stage.ABANDONED, "passing", time)
            return
        withdrawn = self._withdrawn(attempt, time)
        if withdrawn is not None:
            self._finish(number, Stage.ABANDONED, withdrawn.reason, time)
            return
        self.memory.save(number, stage=Stage.ACTING, stage_at=clock, acted_at=clock)
        self._later(time + 0.2, lambda at: self._act(number, at))

    def _withdrawn(self, attempt: Attempt, time: float) -> Withdrawn | None:
        """Ask the pure rules that are asked right before an act."""
        target = self.gathering.targets[attempt.site]
        assert target is not None
        policy, clock = self.gathering.policy(attempt.site, time), self.clock(time)
        said = self.gathering.said(attempt.site, time, clock)
        return before_the_act(attempt, target, policy, said, clock, ACT_WITHIN, yes=True)

    def _refuses(self, attempt: Attempt, time: float) -> bool:
        """Do what an action looks at before it acts; tell whether that ended the attempt."""
        if attempt.action not in POWER:
            return False
        look = Look(self.clock(time), self.world.ssh(attempt.server, time))
        withdrawn = lives_after_all(attempt, look)
        found = self.world.linode(attempt.server, time)
        if withdrawn is not None:
            self._finish(attempt.id, Stage.ABANDONED, withdrawn.reason, time)
        elif found is None or found[0] == "rebooting":
            self._finish(attempt.id, Stage.FAILED, "linode_busy", time)
        elif (found[0] == "offline") != (attempt.action == "boot_linode"):
            self._finish(attempt.id, Stage.FAILED, "not_allowed", time, permanent=True)
        else:
            return False
        return True

    def _act(self, number: int, time: float) -> None:
        attempt, clock = self._holds(number, time), self.clock(time)
        trouble = self.world.now(What.ACT_FAILS, time, attempt.server)
        if trouble is not None and trouble.how in ("failed", "permanent"):
            self._finish(number, Stage.FAILED, "command_failed", time, trouble.how == "permanent")
            return
        lost = trouble is not None and trouble.how == "unknown"
        if not lost or (trouble is not None and trouble.much >= 0.5):
            act = Act(
                time, clock, attempt.action, attempt.site, attempt.server, attempt.target, attempt.step,
                attempt.incident_id, number,
            )  # fmt: skip
            self.watch.acted(act)
            self.world.do(act)
        if lost:
            self.memory.save(number, reason="unknown")
            self._later(time + ASK_HAPPENED, lambda at: self._happened(number, at))
        else:
            self._settle(number, time)

    def _happened(self, number: int, time: float) -> None:
        """After an act of unknown outcome: find out, and never act again."""
        attempt = self._holds(number, time)
        if any(one.attempt == number for one in self.world.acts):
            self._settle(number, time)
        elif attempt.reason == "unknown":
            self._finish(number, Stage.FAILED, "unknown", time)
        else:
            self.memory.save(number, acted_at=None)
            self._finish(number, Stage.ABANDONED, "interrupted", time)

    def _settle(self, number: int, time: float) -> None:
        attempt = self._holds(number, time)
        self.memory.save(number, stage=Stage.SETTLING, stage_at=self.clock(time), reason=None)
        self._later(time + SETTLES[attempt.action], lambda at: self._settled(number, at))

    def _settled(self, number: int, time: float) -> None:
        attempt, clock = self._holds(number, time), self.clock(time)
        if attempt.action in POWER and self.world.ssh(attempt.server, time) not in ("ok", "local"):
            if clock - attempt.stage_at > SETTLE_WITHIN:
                self._finish(number, Stage.FAILED, "timeout", time)
            else:
                self._later(time + SETTLES[attempt.action], lambda at: self._settled(number, at))
            return
        self.memory.save(number, stage=Stage.VERIFYING, stage_at=clock)
        self.memory.change(attempt.incident_id, state=State.VERIFYING)
        self._verify(number, time)

    def _verify(self, number: int, time: float) -> None:
        attempt, clock = self._holds(number, time), self.clock(time)
        if self.world.now(What.NO_PROBES, time) is not None:
            self._later(time + 1.0, lambda at: self._verify(number, at))
            return
        passed = self.world.probe(attempt.site, time, clock) is None
        passes = attempt.passes + 1 if passed else 0
        if passes >= 2:
            self._finish(number, Stage.SUCCEEDED, "", time)
            self.memory.change(attempt.incident_id, state=State.RECOVERED, reason=Reason.PROVED)
        elif passes == 0 and clock - attempt.stage_at >= PROVE_WITHIN:
            self._finish(number, Stage.FAILED, "not_proved", time)
        else:
            self.memory.save(number, passes=passes)
            self._later(time + SPACING, lambda at: self._verify(number, at))

    def _adopt(self, time: float) -> None:
        """Take up the attempts that a killed process has left behind, once their leases have run out."""
        clock = self.clock(time)
        for attempt in self.memory.unfinished():
            if attempt.id in self.mine or not self.memory.take_over(attempt, clock):
                continue
            self.mine.add(attempt.id)
            again = {
                Stage.PREPARED: self._prepared,
                Stage.ACTING: self._happened,
                Stage.SETTLING: self._settled,
                Stage.VERIFYING: self._verify,
            }[attempt.stage]
            wait = max(0.0, attempt.stage_at + ASK_HAPPENED - clock) if attempt.stage is Stage.ACTING else 0.1
            self._later(time + wait, lambda at, number=attempt.id, call=again: call(number, at))  # type: ignore[misc]
        if any(one.id not in self.mine for one in self.memory.unfinished()):
            self._later(time + ROUND, self._adopt)
