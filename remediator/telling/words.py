"""The words in which people are told of an incident: what was seen, done, asked, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.durations import format_duration
from remediator.configuration.policy import SitePolicy
from remediator.model.incident import Incident, Outcome

MOST_TRIED = 5
_ACTS = {
    "restart_container": ("restart its container on {}", "the restart of its container on {}"),
    "reboot_linode": ("reboot {}", "the reboot of {}"),
    "boot_linode": ("boot {}", "the boot of {}"),
    "run_hook": ("run its hook on {}", "its hook on {}"),
}
"""Each action as a verb and as a noun."""
_ENDS = {
    Outcome.HEALED: "Sitemedic brought it back",
    Outcome.BY_ITSELF: "It came back by itself",
    Outcome.NOT_DOWN: "Only its container was down, the site itself never was",
    Outcome.ALREADY_OVER: "It had ended before its alert came",
    Outcome.BY_A_HUMAN: "It came back after Sitemedic had asked for a human",
}


def clock(at: float) -> str:
    """Write a time of day."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


def moment(at: float) -> str:
    """Write a date with its time."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def act(action: str, server: str) -> str:
    """Say what an action does, to be read after "may I"."""
    return _said(action, server)[0]


def deed(action: str, server: str) -> str:
    """Say the same as a noun."""
    return _said(action, server)[1]


def _said(action: str, server: str) -> tuple[str, str]:
    name = action.replace("_", " ")
    verb, noun = _ACTS.get(action, (f"{name} on {{}}", f"{name} on {{}}"))
    where = server or "its server"
    return verb.format(where), noun.format(where)


def down_since(incident: Incident) -> str:
    """Say since when the site is down, and what the probes say."""
    since = moment(incident.failing_since or incident.opened_at)
    why = f" ({incident.probe_reason})" if incident.probe_reason else ""
    return f"{incident.site} has been down since {since}{why}."


def tried(attempts: Sequence[Mapping[str, Any]]) -> str:
    """Say what was tried, in a sentence."""
    lines = [
        f"{one['action'].replace('_', ' ')} at {clock(one['created_at'])}: "
        + ": ".join(filter(None, (one["stage"], one["detail"])))
        for one in attempts[-MOST_TRIED:]
    ]
    return f"Tried: {'; '.join(line[:300] for line in lines)}." if lines else "Nothing was tried."


def place(site: SitePolicy | None) -> str:
    """Say where the site runs."""
    if site is None or site.target is None:
        return "It has no recover: block in sites.yml, so Sitemedic only watches it."
    return f"It runs as {site.target.label} on {site.target.server.name}."


def next_step(decision: Mapping[str, Any] | None, after: float, server: str) -> str:
    """Say what comes next, by the decision that stands since then."""
    if decision is None or decision["time"] < after:
        return "What comes next is being decided."
    held = decision["detail"] or decision["reason"].replace("_", " ")
    if decision["verb"] == "look":
        return "Next: it looks at the server again."
    if not decision["action"]:
        return f"Next: {held}."
    step = act(decision["action"], server)
    if decision["verb"] == "act":
        return f"Next: {step}."
    return f"Next: {step}, when nothing holds it back any more ({held})."


def ended(incident: Incident, attempts: Sequence[Mapping[str, Any]]) -> str:
    """Say how an outage ended, and after how long."""
    how = _ENDS.get(incident.outcome, "It is over") if incident.outcome else "It is over"
    lasted = (incident.closed_at or incident.opened_at) - (incident.failing_since or incident.opened_at)
    by = ""
    if incident.outcome is Outcome.HEALED and attempts:
        last = attempts[-1]
        by = f" by {deed(last['action'], last['server'])}"
    return f"{how}{by} after {format_duration(float(max(1, round(lasted))))}."
