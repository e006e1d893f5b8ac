"""The words in which people are told of an incident: what was seen, done, asked, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.durations import format_duration
from remediator.actions.action import JSON
from remediator.incident import Incident, Look, Outcome
from remediator.policy import SitePolicy

MOST_TRIED = 5
_ACTS = {
    "restart_container": "restart its container on {}",
    "reboot_linode": "reboot {}",
    "boot_linode": "boot {}",
    "run_hook": "run its hook on {}",
}
_ENDS = {
    Outcome.HEALED: "Sitemedic brought it back",
    Outcome.BY_ITSELF: "It came back by itself",
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
    return _ACTS.get(action, action.replace("_", " ") + " on {}").format(server or "its server")


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


def evidence(look: Look | None) -> str:
    """Say what was found on the server; log lines, which may hold anything, stay in the console."""
    if look is None:
        return ""
    found = [*_entered(look.ssh), *_container(look.evidence), *_linode(look.evidence)]
    problems = look.evidence.get("problems")
    found += [str(one)[:200] for one in (problems if isinstance(problems, list) else [])[:3]]
    return "; ".join(found)


def _entered(ssh: str) -> Iterator[str]:
    if ssh:
        yield "SSH lets us in" if ssh == "ok" else f"SSH: {ssh.replace('_', ' ')}"


def _container(found: Mapping[str, JSON]) -> Iterator[str]:
    one = found.get("container")
    if not isinstance(one, dict):
        return
    yield f"container {one.get('name')} is {one.get('status')}"
    if one.get("health"):
        yield f"health {one['health']}"
    if one.get("status") != "running":
        yield f"exit code {one.get('exit_code')}"
    if one.get("oom_killed"):
        yield "killed for want of memory"
    if one.get("restart_count"):
        yield f"restarted {one['restart_count']} times by Docker"


def _linode(found: Mapping[str, JSON]) -> Iterator[str]:
    one = found.get("linode")
    if isinstance(one, dict):
        yield f"its Linode is {one.get('status')}"


def next_step(decision: Mapping[str, Any] | None, after: float, server: str) -> str:
    """Say what comes next, by the decision that stands since then."""
    if decision is None or decision["time"] < after:
        return "What comes next is being decided."
    held = f"{decision['reason'].replace('_', ' ')}: {decision['detail']}".strip(": ")
    if decision["verb"] == "look":
        return "Next: it looks at the server again."
    if not decision["action"]:
        return f"Next: {held}."
    step = act(decision["action"], server)
    if decision["verb"] == "act":
        return f"Next: {step}."
    return f"Next: {step}; it waits ({held})."


def ended(incident: Incident, attempts: Sequence[Mapping[str, Any]]) -> str:
    """Say how an outage ended, and after how long."""
    how = _ENDS.get(incident.outcome, "It is over") if incident.outcome else "It is over"
    lasted = (incident.closed_at or incident.opened_at) - (incident.failing_since or incident.opened_at)
    by = ""
    if incident.outcome is Outcome.HEALED and attempts:
        last = attempts[-1]
        by = f" ({act(last['action'], last['server'])})"
    return f"{how}{by} after {format_duration(float(max(1, round(lasted))))}."
