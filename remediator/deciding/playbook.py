"""Which step to take next: the first in order, with attempts left, that what was found allows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.servers.server import Server
from remediator.model.facts import Facts, Step
from remediator.model.findings import DEAD, ENTERED, NO_WORD, Findings, read, sentence, symptom
from remediator.model.incident import Attempt, Kind, Reason, State, kind_of
from remediator.model.playbooks import PlannedStep
from remediator.model.seen import Look

__all__ = [
    "BOOT",
    "DEAD",
    "ENTERED",
    "LOOK",
    "REBOOT",
    "RESTART",
    "Stop",
    "hindrance",
    "last_end",
    "next_step",
]

RESTART = "restart_container"
REBOOT = "reboot_linode"
BOOT = "boot_linode"
LOOK = "look"
POWER = frozenset({REBOOT, BOOT})
"""What uses a whole server's power; every other action is done over SSH."""
WORTH_TELLING = (
    Reason.CANNOT_TELL,
    Reason.CANNOT_ENTER,
    Reason.SERVER_OFF,
    Reason.ACTION_IMPOSSIBLE,
    Reason.CRASH_LOOP,
    Reason.REBOOT_NOT_ALLOWED,
    Reason.NOTHING_LEFT,
)
"""Why a step cannot help, what a human must know first."""


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
    kind = kind_of(facts.probe.reason)
    if kind is Kind.FOR_A_HUMAN:
        return Stop(Reason.FOR_A_HUMAN, f"{facts.probe.reason or 'error'}: {facts.probe.detail}")
    steps = facts.playbook.steps(kind)
    if not steps:
        return Stop(Reason.FOR_A_HUMAN, f"playbook {facts.playbook.name} leaves {_spaced(kind)} to a human")
    look = _valid_look(facts, now)
    if look is None:
        return Step(LOOK, None) if _must_look(facts, kind) else _without_a_look(facts, steps)
    return _by_the_look(facts, kind, steps, read(look))


def hindrance(action: str, kind: Kind, found: Findings, server: Server | None) -> Stop | None:
    """Say why an action cannot help, or must not be done, by what was found; None where it may help."""
    if found.ssh in ENTERED:
        return _inside(action, found)
    if found.ssh == NO_WORD:
        detail = "SSH fails in a way that says nothing about the server (our resolver, our limits, no cipher)"
        return Stop(Reason.CANNOT_TELL, detail)
    if found.ssh not in DEAD:
        return Stop(Reason.CANNOT_ENTER, f"the server answers, but SSH does not let us in: {found.ssh}")
    if kind is Kind.ANSWERS_WRONGLY:
        return Stop(Reason.CANNOT_TELL, "the site answers, so its server lives, but SSH does not answer")
    return _from_outside(action, found, server)


def _inside(action: str, found: Findings) -> Stop | None:
    if action in POWER:
        return Stop(Reason.NOTHING_LEFT, "SSH works, so the server lives")
    container = found.container
    if container is not None and container.status == "paused":
        detail = f"{container.name} is paused, which only a human does: docker unpause {container.name}"
        return Stop(Reason.ACTION_IMPOSSIBLE, detail)
    if action == RESTART and not found.docker_runs:
        return Stop(Reason.CANNOT_TELL, "nothing can be restarted until it does: systemctl start docker")
    if action == RESTART and found.loops:
        return Stop(Reason.CRASH_LOOP, "one restart more would not help: read its log")
    return None


def _from_outside(action: str, found: Findings, server: Server | None) -> Stop | None:
    """Judge an action on a server that gives no sign of life."""
    off = found.linode == "offline"
    if off and action == BOOT and server is not None and server.may_boot:
        return None
    if off:
        detail = (
            "its Linode is switched off, perhaps on purpose, and nothing here allows to boot it (may_boot)"
        )
        return Stop(Reason.SERVER_OFF, detail)
    if action != REBOOT:
        return Stop(Reason.NOTHING_LEFT, "the server gives no sign of life")
    if server is None or server.linode is None or not server.may_reboot:
        return Stop(
            Reason.REBOOT_NOT_ALLOWED,
            "the server does not answer SSH either, and sites.yml does not allow to reboot it",
        )
    return None


def _by_the_look(facts: Facts, kind: Kind, steps: Sequence[PlannedStep], found: Findings) -> Step | Stop:
    seen, stops = f"{symptom(facts.probe)}; {sentence(found)}", []
    server = facts.target.server if facts.target is not None else None
    exhausted = []
    for planned in steps:
        stop = hindrance(planned.action, kind, found, server)
        if stop is not None:
            stops.append(stop)
        elif _tried(planned, facts) < planned.at_most:
            return _step(planned, seen)
        else:
            exhausted.append(planned)
    if exhausted and all(stop.reason is not Reason.CRASH_LOOP for stop in stops):
        return Stop(Reason.NOTHING_LEFT, f"{_in_vain(exhausted, facts)}; {seen}")
    worst = min(stops, key=lambda one: WORTH_TELLING.index(one.reason))
    return Stop(worst.reason, f"{seen}: {worst.detail}")


def _without_a_look(facts: Facts, steps: Sequence[PlannedStep]) -> Step | Stop:
    for planned in steps:
        if _tried(planned, facts) < planned.at_most:
            return _step(planned, symptom(facts.probe))
    return Stop(Reason.NOTHING_LEFT, _in_vain(steps, facts))


def _must_look(facts: Facts, kind: Kind) -> bool:
    """Tell whether a step can only be chosen by a look: what answers wrongly has one step's worth of choice.

    An incident that comes back from a human is looked at first, so that nothing is begun in vain again. So is
    one that only its container's alert tells of: it is the container that must have ended.
    """
    incident = facts.incident
    return kind is Kind.DOES_NOT_ANSWER or incident.state is State.NEEDS_HUMAN or incident.early


def _valid_look(facts: Facts, now: float) -> Look | None:
    look = facts.incident.look
    limits = facts.limits
    oldest = (
        min(limits.early_look_max_age, limits.look_max_age) if facts.incident.early else limits.look_max_age
    )
    if look is None or not 0 <= now - look.time <= oldest:
        return None
    ended = last_end([one for one in facts.attempts if one.counts], now)
    return look if look.time >= ended else None


def last_end(attempts: Iterable[Attempt], now: float) -> float:
    """Return when the last of these attempts ended.

    One that is dated ahead of now says nothing: the clock was set back since, and whoever waited for a look
    that is later would look again and again until then.
    """
    ends = (one.finished_at or one.created_at for one in attempts)
    return max((end for end in ends if end <= now), default=0.0)


def _tried(planned: PlannedStep, facts: Facts) -> int:
    return sum(one.counts and one.step == planned.name for one in facts.attempts)


def _step(planned: PlannedStep, seen: str) -> Step:
    why = f"{seen}: {words(planned.action, planned.hook)}"
    return Step(planned.name, planned.action, planned.mode, planned.hook, why)


def words(action: str, hook: str | None = None) -> str:
    """Say an action as an order: "restart the container"."""
    verb, _, noun = action.partition("_")
    return f"run hook {hook}" if hook is not None else f"{verb} the {noun.replace('linode', 'Linode')}"


def _in_vain(steps: Sequence[PlannedStep], facts: Facts) -> str:
    tried = []
    for planned in steps:
        times = _tried(planned, facts)
        tried.append(f"{planned.name} was tried {'once' if times == 1 else f'{times} times'}")
    return f"{', '.join(tried)} and did not help"


def _spaced(kind: Kind) -> str:
    return f"what {kind.replace('_', ' ')}"
