"""What to do about one incident. Pure: no clock, network or database; guards and playbook likewise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from remediator.deciding.playbook import LOOK, Stop, last_end, next_step
from remediator.guards import GUARDS
from remediator.guards.container_ended import not_yet
from remediator.guards.verdict import Allow, Ask, Guard, Refuse, Verdict, WaitUntil
from remediator.model.action import JSON
from remediator.model.facts import Facts, Step
from remediator.model.incident import REVISABLE, Decision, Kind, Reason, State, Verb, kind_of

STORM_GUARDS = ("max_unhealthy", "fresh_probe", "canaries", "storm_cooldown")
"""The guards that also hold back a call for a human: in a storm one site's reason says little."""
STORMS = frozenset({Reason.TOO_MANY_UNHEALTHY, Reason.CANARIES_FAIL})
"""The reasons that are a storm: so much fails, or every canary, that nothing may be touched."""
_TELL_STORMS = ("max_unhealthy", "canaries")
"""The guards that give these reasons."""


def decide(facts: Facts, now: float, guards: Mapping[str, Guard] = GUARDS) -> Decision:
    """Return what to do about the incident now, why, and the numbers it was taken on."""
    if not facts.known:
        return Decision(Verb.CLOSE, Reason.SITE_REMOVED, "the site has left sites.yml")
    if facts.probe is not None and facts.probe.success:
        return _passing(facts, now)
    stays = _stays_with_a_human(facts)
    if stays is not None:
        return stays
    if not facts.has_recover:
        return Decision(Verb.OBSERVE, Reason.NO_RECOVER, "the site has no recover: block")
    step = next_step(facts, now)
    if isinstance(step, Stop):
        if facts.incident.early and step.reason is not Reason.NO_FRESH_PROBE:
            return _held(not_yet(now), Step(LOOK, None), now, {})
        return _stop(step, facts, now, guards)
    verdicts = dict(_ask(guards, facts, step, now))
    numbers = _numbers(verdicts)
    held = next((one for one in verdicts.values() if not isinstance(one, Allow)), None)
    if isinstance(held, Ask) and not _looked(facts, now):
        return Decision(Verb.LOOK, Reason.LOOK_FIRST, "look before asking", step=step.name, numbers=numbers)
    if held is not None:
        return _in_storm(_held(held, step, now, numbers), verdicts)
    if step.action is None:
        return Decision(Verb.LOOK, Reason.LOOK_FIRST, "look before acting", step=step.name, numbers=numbers)
    return Decision(
        Verb.ACT,
        _why(facts, step),
        step.why or _told(facts),
        action=step.action,
        step=step.name,
        numbers=numbers,
    )


def storm(
    facts: Facts, step: Step, now: float, guards: Mapping[str, Guard] = GUARDS
) -> tuple[Reason, str] | None:
    """Return why nothing may be touched now, and in which words; None where there is no storm."""
    return _storm(guards[name](facts, step, now) for name in _TELL_STORMS)


def passes_with(facts: Facts) -> int:
    """Count fresh probes that passed in a row, the one at hand included where it is far enough apart."""
    incident, probe = facts.incident, facts.probe
    if probe is None or not probe.success:
        return 0
    if counts_anew(facts):
        return 1
    if incident.passed_at is not None and probe.time - incident.passed_at < facts.limits.probe_spacing:
        return max(incident.passes, 1)
    return incident.passes + 1


def counts_anew(facts: Facts) -> bool:
    """Tell whether the last pass is one of the future: the clock was set back since."""
    incident, probe = facts.incident, facts.probe
    return incident.passed_at is not None and probe is not None and probe.time < incident.passed_at


def _passing(facts: Facts, now: float) -> Decision:
    assert facts.probe is not None
    age = now - facts.probe.time
    passes, needed = passes_with(facts), facts.limits.passes
    numbers: dict[str, JSON] = {"passes": passes, "needed": needed, "probe_age": round(age, 3)}
    if not -1.0 <= age <= facts.limits.probe_max_age:
        soon = now + facts.limits.probe_spacing
        return Decision(Verb.WAIT, Reason.NO_FRESH_PROBE, "the probe is too old", until=soon, numbers=numbers)
    if passes >= needed:
        return Decision(Verb.CLOSE, Reason.PROVED, f"{passes} fresh probes in a row pass", numbers=numbers)
    return Decision(
        Verb.WAIT,
        Reason.PASSING,
        "a fresh probe passes",
        until=now + facts.limits.probe_spacing,
        numbers=numbers,
    )


def _stays_with_a_human(facts: Facts) -> Decision | None:
    incident = facts.incident
    if incident.state is not State.NEEDS_HUMAN:
        return None
    reason = Reason(incident.reason) if incident.reason in set(Reason) else Reason.NOTHING_LEFT
    if reason in REVISABLE and facts.probe is not None:
        return None
    return Decision(Verb.ESCALATE, reason, incident.detail)


def _stop(stop: Stop, facts: Facts, now: float, guards: Mapping[str, Guard]) -> Decision:
    also_held = {name: guards[name] for name in STORM_GUARDS if name in guards}
    look = Step(LOOK, None)
    verdicts = dict(_ask(also_held, facts, look, now))
    numbers = _numbers(verdicts)
    for verdict in verdicts.values():
        if not isinstance(verdict, Allow):
            return _in_storm(_held(verdict, look, now, numbers), verdicts)
    if stop.reason is Reason.NO_FRESH_PROBE:
        until = now + facts.limits.recheck
        return Decision(Verb.WAIT, stop.reason, stop.detail, until=until, numbers=numbers)
    return Decision(Verb.ESCALATE, stop.reason, stop.detail, numbers=numbers)


def _ask(guards: Mapping[str, Guard], facts: Facts, step: Step, now: float) -> Iterator[tuple[str, Verdict]]:
    for name, guard in guards.items():
        try:
            yield name, guard(facts, step, now)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong inside a guard, it refuses
            yield name, Refuse(Reason.GUARD_ERROR, f"guard {name}: {type(error).__name__}")


def _looked(facts: Facts, now: float) -> bool:
    """Tell whether there is evidence to approve by: a look since the last attempt."""
    look = facts.incident.look
    return look is not None and look.time >= last_end(facts.attempts, now)


def _held(verdict: Verdict, step: Step, now: float, numbers: dict[str, JSON]) -> Decision:
    meant = {"action": step.action, "step": step.name, "numbers": numbers}
    match verdict:
        case WaitUntil(reason, until, detail):
            return Decision(Verb.WAIT, reason, detail, until=max(until, now), **meant)  # type: ignore[arg-type]
        case Refuse(reason, detail, escalate):
            verb = Verb.ESCALATE if escalate else Verb.REFUSE
            if reason is Reason.OBSERVE_MODE:
                verb = Verb.OBSERVE
            return Decision(verb, reason, detail, **meant)  # type: ignore[arg-type]
        case Ask(reason, detail):
            return Decision(Verb.ASK, reason, detail, **meant)  # type: ignore[arg-type]
    raise AssertionError("an allowing guard holds nothing back")


def _in_storm(decision: Decision, verdicts: Mapping[str, Verdict]) -> Decision:
    """Say with a decision that there is a storm, also where another guard's reason is told first."""
    return replace(decision, storm=_storm(verdicts.values()))


def _storm(verdicts: Iterable[Verdict]) -> tuple[Reason, str] | None:
    for verdict in verdicts:
        if isinstance(verdict, WaitUntil) and verdict.reason in STORMS:
            return verdict.reason, verdict.detail
    return None


def _numbers(verdicts: Mapping[str, Verdict]) -> dict[str, JSON]:
    numbers: dict[str, JSON] = {}
    for verdict in verdicts.values():
        numbers.update(verdict.numbers)
    held = [name for name, verdict in verdicts.items() if not isinstance(verdict, Allow)]
    if held:
        numbers["held_by"] = [*held]
    return numbers


def _why(facts: Facts, step: Step) -> Reason:
    if step.reboots:
        return Reason.SERVER_UNREACHABLE
    kind = kind_of(facts.probe.reason if facts.probe else None)
    return Reason.DOES_NOT_ANSWER if kind is Kind.DOES_NOT_ANSWER else Reason.ANSWERS_WRONGLY


def _told(facts: Facts) -> str:
    probe = facts.probe
    return "" if probe is None else f"{probe.reason}: {probe.detail}" if probe.detail else str(probe.reason)
