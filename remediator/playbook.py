"""What to try next for each kind of outage. Pure: facts in, a step or a reason to stop out."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.facts import Facts, Step
from remediator.incident import Kind, Look, Reason, kind_of

RESTART = "restart_container"
REBOOT = "reboot_linode"
LOOK = "look"
ENTERED = frozenset({"ok", "local"})
DEAD = frozenset({"unreachable", "timeout"})
NO_WORD = "cannot_tell"
"""SSH failed on our side, or the server answered in a way that we do not understand."""


@dataclass(frozen=True)
class Rule:
    """One step of a playbook: how often it may be tried in one incident."""

    name: str
    action: str
    at_most: int


RULES: dict[str, Rule] = {
    RESTART: Rule(RESTART, RESTART, at_most=2),
    REBOOT: Rule(REBOOT, REBOOT, at_most=1),
}


@dataclass(frozen=True)
class Stop:
    """The playbook has nothing (more) to try: a human's."""

    reason: Reason
    detail: str


def next_step(facts: Facts, now: float) -> Step | Stop:
    """Return the mildest step that can help, or why there is none."""
    if facts.probe is None:
        return Stop(Reason.NO_FRESH_PROBE, "no fresh probe to choose a step by")
    last = facts.attempts[-1] if facts.attempts else None
    if last is not None and last.permanent:
        return Stop(Reason.ACTION_IMPOSSIBLE, f"{last.action}: {last.detail}")
    match kind_of(facts.probe.reason):
        case Kind.ANSWERS_WRONGLY:
            return _try(RESTART, facts)
        case Kind.DOES_NOT_ANSWER:
            return _does_not_answer(facts, now)
        case Kind.FOR_A_HUMAN:
            return Stop(Reason.FOR_A_HUMAN, f"{facts.probe.reason or 'error'}: {facts.probe.detail}")


def _does_not_answer(facts: Facts, now: float) -> Step | Stop:
    look = _valid_look(facts, now)
    if look is None:
        return Step(LOOK, None)
    if look.ssh in ENTERED:
        return _try(RESTART, facts)
    if look.ssh == NO_WORD:
        detail = "SSH fails in a way that says nothing about the server (our resolver, our limits, no cipher)"
        return Stop(Reason.CANNOT_TELL, detail)
    if look.ssh not in DEAD:
        return Stop(Reason.CANNOT_ENTER, f"the server answers, but SSH does not let us in: {look.ssh}")
    target = facts.target
    if target is None or target.server.linode is None or not target.server.may_reboot:
        return Stop(
            Reason.REBOOT_NOT_ALLOWED,
            "the server does not answer SSH either, and sites.yml does not allow to reboot it",
        )
    return _try(REBOOT, facts)


def _valid_look(facts: Facts, now: float) -> Look | None:
    look = facts.incident.look
    if look is None or not 0 <= now - look.time <= facts.limits.look_max_age:
        return None
    ended = max((one.finished_at or one.created_at for one in facts.attempts), default=0.0)
    return look if look.time >= ended else None


def _try(name: str, facts: Facts) -> Step | Stop:
    rule = RULES[name]
    tried = sum(one.counts and one.step == rule.name for one in facts.attempts)
    if tried < rule.at_most:
        return Step(rule.name, rule.action)
    times = "once" if tried == 1 else f"{tried} times"
    return Stop(Reason.NOTHING_LEFT, f"{rule.action} was tried {times} and did not help")
