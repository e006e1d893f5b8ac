"""Nothing acts but on a probe that failed just now."""

from __future__ import annotations

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


def fresh_probe(facts: Facts, _step: Step, now: float) -> Verdict:
    """Wait where there is no fresh probe, it is too old (or of the future), or it passes."""
    probe = facts.probe
    if probe is None:
        return WaitUntil(Reason.NO_FRESH_PROBE, now + SOON, "the exporter gave no fresh probe")
    age = now - probe.time
    if not -1.0 <= age <= facts.limits.probe_max_age:
        return WaitUntil(Reason.NO_FRESH_PROBE, now + SOON, "the probe is too old", {"probe_age": age})
    if probe.success:
        return WaitUntil(Reason.PASSING, now + SOON, "a fresh probe passes")
    return Allow({"probe_age": round(age, 3), "probe_reason": probe.reason})
