"""What happens next with an incident, in a sentence for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediator.model.incident import Incident, Outcome, Reason, State, Verb

_ENDS = {
    Outcome.HEALED: "Over: Sitemedic healed it.",
    Outcome.BY_ITSELF: "Over: it came back by itself.",
    Outcome.BY_A_HUMAN: "Over: it came back after a human had been called.",
    Outcome.NOT_DOWN: "Over: only its container was down, the site passed its probes.",
    Outcome.ALREADY_OVER: "Over: its alert came late, of an outage that had ended by then.",
    Outcome.REMOVED: "Over: the site has left sites.yml.",
}
_UNDER_WAY = {
    State.ATTEMPTING: "It is being done now; then fresh probes must prove it.",
    State.VERIFYING: "It was done; fresh probes must prove it now.",
}
_DOING = {
    "restart_container": "restart the container",
    "reboot_linode": "reboot the Linode",
    "boot_linode": "boot the Linode",
    "run_hook": "run the hook",
}
_HUMAN = (
    "A human must look: Sitemedic does nothing more, keeps watching, and closes this once fresh probes pass."
)


@dataclass(frozen=True)
class Next:
    """What happens next: a sentence, why, and until when it waits at least."""

    text: str
    why: str = ""
    until: float | None = None


def next_step(incident: Incident, last: Mapping[str, Any] | None) -> Next:
    """Say what happens next with an incident whose last decision this is."""
    if incident.closed_at is not None:
        return Next(_ENDS.get(incident.outcome, "Over.") if incident.outcome else "Over.")
    action = doing(last["action"]) if last and last["action"] else ""
    if incident.state in _UNDER_WAY:
        return Next(
            f"{_begin(action)}: {_UNDER_WAY[incident.state]}" if action else _UNDER_WAY[incident.state]
        )
    if incident.state is State.NEEDS_HUMAN:
        return Next(_HUMAN, _why(incident.reason, incident.detail))
    if last is None:
        return Next("It is about to be looked at.")
    why = _why(last["reason"], last["detail"])
    return Next(_sentence(last["verb"], last["reason"], action), why, incident.next_at)


def doing(action: str) -> str:
    """Write what an action does."""
    return _DOING.get(action, words(action))


def words(name: str) -> str:
    """Write a name of ours as words."""
    return name.replace("_", " ")


def _sentence(verb: str, reason: str, action: str) -> str:
    then = f", then: {action}" if action else ""
    match verb:
        case Verb.ASK:
            return f"A person must approve it: {action or 'the next step'}."
        case Verb.WAIT if reason == Reason.PASSING:
            return "It answers again: one more fresh probe, then it is over."
        case Verb.WAIT:
            return f"Waits{then}."
        case Verb.REFUSE:
            return f"Nothing is done while this holds{then}."
        case Verb.OBSERVE if reason == Reason.OBSERVE_MODE:
            return f"Nothing is done, the mode is observe. It would be: {action or 'to look'}."
        case Verb.OBSERVE:
            return "Nothing is done: the site is only watched."
        case Verb.LOOK:
            return "The server is looked at first, before anything is touched."
        case Verb.ACT:
            return f"{_begin(action)} is about to be done."
    return "It is decided on anew within seconds."


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _why(reason: str | None, detail: str) -> str:
    told = words(reason or "")
    return f"{told}: {detail}" if told and detail else told or detail
