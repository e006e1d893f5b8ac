"""What somebody else does to a Linode comes first: a boot that runs, a person who has just rebooted it.

Read from the look, which was taken minutes ago at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from remediator.guards.verdict import SOON, Allow, Verdict, WaitUntil
from remediator.model.action import JSON
from remediator.model.facts import Facts, Step
from remediator.model.findings import clock_off
from remediator.model.incident import Reason

SETTLED = frozenset({"running", "offline"})
POWER = frozenset({"linode_reboot", "linode_boot", "linode_shutdown", "lassie_reboot", "host_reboot"})
OVER = frozenset({"finished", "failed", "notification"})
OWN_EVENT_WITHIN = 120.0
"""Seconds between our own act and its event: without a user's name there, the event counts as ours."""


AGREES = 60.0
"""Seconds that two clocks may differ which nobody has set."""


def linode_status(facts: Facts, step: Step, now: float) -> Verdict:
    """Wait while the Linode is busy; with its power also for a while after anybody else's use of it."""
    linode = _linode(facts, now)
    if step.action is None or linode is None:
        return Allow()
    status = str(linode.get("status"))
    numbers: dict[str, JSON] = {"linode_status": status}
    if status not in SETTLED:
        return WaitUntil(Reason.LINODE_BUSY, now + SOON, f"its Linode is {status}", numbers)
    for event in _power_events(linode, facts):
        created = _time(event)
        if event.get("status") not in OVER:
            detail = f"{event.get('action')} of its Linode is under way"
            return WaitUntil(Reason.FOREIGN_EVENT, now + SOON, detail, numbers)
        age = _age(created, facts, now)
        if step.powers and age < facts.limits.foreign_event_age:
            ready_at = now - max(0.0, age) + facts.limits.foreign_event_age
            detail = f"somebody else did {event.get('action')} {max(0.0, age):.0f} s ago"
            return WaitUntil(Reason.FOREIGN_EVENT, ready_at, detail, {**numbers, "event_at": created})
    return Allow(numbers)


def _linode(facts: Facts, now: float) -> Mapping[str, JSON] | None:
    """Return what the look says; an old one says nothing, since perhaps nobody will look again."""
    look = facts.incident.look
    if look is None or now - look.time > facts.limits.look_max_age:
        return None
    found = look.evidence.get("linode")
    return found if isinstance(found, dict) else None


def _power_events(linode: Mapping[str, JSON], facts: Facts) -> Iterator[Mapping[str, JSON]]:
    """Yield what others did to the Linode's power, newest first."""
    events = linode.get("recent_events")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("action") in POWER and not _ours(event, facts):
            yield event


def _age(created: float, facts: Facts, now: float) -> float:
    """Return how long ago an event was made, by ours or the machine's clock: the shorter time that can be.

    After the machine's clock was set only one of the two may agree with Linode's. What is of the future by
    one of them is told by the other.
    """
    off = clock_off(facts.incident.look) if facts.incident.look is not None else 0.0
    ages = (now - created, now + off - created)
    return min((age for age in ages if age >= -AGREES), default=max(ages))


def _ours(event: Mapping[str, JSON], facts: Facts) -> bool:
    if event.get("foreign") is not None:
        return event.get("foreign") is False
    server = facts.target.server.name if facts.target is not None else None
    acted = [
        one.acted_at for one in facts.history if one.server == server and one.action != "restart_container"
    ]
    return any(at is not None and abs(_time(event) - at) <= OWN_EVENT_WITHIN for at in acted)


def _time(event: Mapping[str, JSON]) -> float:
    """Return when an event was made (the API writes UTC without saying so); 0 for what is no time."""
    try:
        return datetime.fromisoformat(str(event.get("created"))).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
