"""News as an alert: SiteHealing, or SiteNeedsHuman. One of them fires for an incident at a time.

Alertmanager mails what has labels that it has not mailed yet; annotations are nothing to it. So what is told,
and the row that it is about, are labels: each row is mailed once, and there are no more alerts than rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from core.durations import format_duration
from remediator.clients.alertmanager import rfc3339
from remediator.configuration.policy import Policy, SitePolicy
from remediator.model.findings import read, sentence
from remediator.model.holds import Approval
from remediator.model.incident import Incident
from remediator.model.news import News, Seen, Telling
from remediator.store import approvals as store_approvals
from remediator.store import attempts as store_attempts
from remediator.store import incidents as store_incidents
from remediator.store import news as store_news
from remediator.store.database import timeline
from remediator.telling import words

MOST_TEXT = 4000
"""Characters of a timeline in one mail."""

SEVERITIES: Mapping[Telling, str] = {
    Telling.STARTED: "info",
    Telling.APPROVAL: "critical",
    Telling.FAILED: "warning",
    Telling.HELD: "info",
    Telling.HELD_LONG: "warning",
    Telling.RECOVERED: "info",
    Telling.NEEDS_HUMAN: "critical",
}


@dataclass(frozen=True)
class Story:
    """All that is known of an incident, to tell of it."""

    incident: Incident
    site: SitePolicy | None
    attempts: Sequence[Mapping[str, Any]]
    decision: Mapping[str, Any] | None
    question: Approval | None
    timeline: str
    approval_lasts: float

    @property
    def server(self) -> str:
        """Return the server that the site is healed on."""
        return self.site.target.server.name if self.site and self.site.target else ""


def story(connection: Connection, incident_id: int, policy: Policy) -> Story | None:
    """Read all that there is to tell of an incident."""
    incident = store_incidents.get(connection, incident_id)
    if incident is None:
        return None
    lines = [f"{words.clock(event['time'])}  {event['text']}" for event in timeline(connection, incident_id)]
    questions = store_approvals.of_incident(connection, incident_id)
    return Story(
        incident=incident,
        site=policy.sites.get(incident.site),
        attempts=store_attempts.of_incident(connection, incident_id),
        decision=store_news.last_decision(connection, incident_id),
        question=questions[-1] if questions else None,
        timeline="\n".join(lines)[-MOST_TEXT:],
        approval_lasts=policy.limits.approval_lasts,
    )


def labels(seen: Seen, telling: Telling, number: int, policy: Policy) -> dict[str, str]:
    """Return what makes the alert this one."""
    site = policy.sites.get(seen.site)
    human = telling is Telling.NEEDS_HUMAN
    found = {
        "alertname": "SiteNeedsHuman" if human else "SiteHealing",
        "site": seen.site,
        "part_of": site.root if site else seen.site.partition("/")[0],
        "severity": SEVERITIES[telling],
        "incident": str(seen.id),
        "server": site.target.server.name if site and site.target else "",
        "outage": seen.outage,
        "stage": "" if human else str(telling),
        "number": "" if human else str(number),
    }
    return {name: value for name, value in found.items() if value}


def alert(named: Mapping[str, str], news: News, told: Story, ends: float, console: str) -> dict[str, Any]:
    """Return the alert as Alertmanager takes it; `ends` in unix seconds of the machine's clock."""
    incident = told.incident
    summary, description, more = _TEXTS[news.telling](told)
    return {
        "labels": dict(named),
        "annotations": {
            **_always(named, incident),
            "summary": summary,
            "description": description,
            "timeline": told.timeline,
            **{name: value for name, value in more.items() if value},
        },
        "startsAt": rfc3339(incident.opened_at if news.telling is Telling.NEEDS_HUMAN else news.at),
        "endsAt": rfc3339(ends),
        "generatorURL": f"{console}/incidents/{incident.id}",
    }


def end(named: Mapping[str, str], told: Story, ends: float, console: str) -> dict[str, Any]:
    """Return the end of an alert, with what the mail that says so shows."""
    incident = told.incident
    return {
        "labels": dict(named),
        "annotations": {**_always(named, incident), "summary": incident.site},
        "startsAt": rfc3339(incident.opened_at),
        "endsAt": rfc3339(ends),
        "generatorURL": f"{console}/incidents/{incident.id}",
    }


def _always(named: Mapping[str, str], incident: Incident) -> dict[str, str]:
    """Return what each of them says: `day` names the thread of its mails, which is the outage's."""
    return {
        "since": words.moment(incident.failing_since or incident.opened_at),
        "day": f"{datetime.fromtimestamp(incident.opened_at, UTC):%Y%m%d}",
        "runbook_url": f"docs/runbooks/{named['alertname']}.md",
    }


Texts = tuple[str, str, Mapping[str, str]]
"""The summary, the description, and further annotations."""


def _started(told: Story) -> Texts:
    last = told.attempts[-1]
    what = words.deed(last["action"], last["server"])
    why = (told.incident.probe_reason or "").replace("_", " ")
    said = [
        words.down_since(told.incident),
        f"Sitemedic began to {what} at {words.clock(last['created_at'])}.",
    ]
    return f"{told.incident.site}: {what} has begun", " ".join(said), {"reason": why}


def _approval(told: Story) -> Texts:
    question, look = told.question, told.incident.look
    assert question is not None
    what = words.act(question.action, told.server)
    said = [
        words.down_since(told.incident),
        words.tried(told.attempts) if told.attempts else "Nothing was tried yet.",
        words.place(told.site),
        f"Answer in the console, or: ./sitemedic approve {question.id} (or deny).",
        f"An approval holds for {format_duration(told.approval_lasts)}; without one nothing is done.",
    ]
    found = {"evidence": sentence(read(look)) if look else "", "question": str(question.id)}
    return f"{told.incident.site}: may I {what}?", " ".join(said), found


def _failed(told: Story) -> Texts:
    over = [one for one in told.attempts if one["finished_at"] is not None]
    last = over[-1]
    what = words.deed(last["action"], last["server"])
    under_way = told.attempts[-1]["finished_at"] is None
    if under_way:
        then = f"Next: {words.act(told.attempts[-1]['action'], told.attempts[-1]['server'])}, begun by now."
    else:
        then = words.next_step(told.decision, last["finished_at"], told.server)
    said = [words.down_since(told.incident), words.tried(told.attempts), then]
    why = (last["reason"] or "").replace("_", " ")
    return f"{told.incident.site}: {what} has not helped", " ".join(said), {"reason": why}


def _held(told: Story) -> Texts:
    decision = told.decision or {"reason": "", "detail": ""}
    why = str(decision["detail"] or decision["reason"]).replace("_", " ")
    said = [words.down_since(told.incident), f"Sitemedic does nothing about it now: {why}."]
    said.append(words.tried(told.attempts))
    summary = f"{told.incident.site}: nothing is done ({why})"
    return summary, " ".join(said), {"reason": str(decision["reason"])}


def _recovered(told: Story) -> Texts:
    ended = words.ended(told.incident, told.attempts)
    said = [ended, words.tried(told.attempts)]
    return f"{told.incident.site} is back. {ended}".rstrip("."), " ".join(said), {}


def _needs_human(told: Story) -> Texts:
    """Say what somebody needs who was just woken: what is down, why nothing is done, what was, and where."""
    incident = told.incident
    held = (incident.reason or "").replace("_", " ")
    said = [
        words.down_since(incident),
        f"Sitemedic does no more: {': '.join(filter(None, (held, incident.detail)))}.",
        words.tried(told.attempts),
        words.place(told.site),
    ]
    return f"{incident.site} needs a human", " ".join(said), {"reason": incident.reason or ""}


_TEXTS: Mapping[Telling, Callable[[Story], Texts]] = {
    Telling.STARTED: _started,
    Telling.APPROVAL: _approval,
    Telling.FAILED: _failed,
    Telling.HELD: _held,
    Telling.HELD_LONG: _held,
    Telling.RECOVERED: _recovered,
    Telling.NEEDS_HUMAN: _needs_human,
}
