"""Whether mails get through, read from Alertmanager's own counters. Pure: no clock, network or database.

Alertmanager (read in its source, 0.25 and 0.28, and seen with 0.25) counts a notification as begun, then each
request to the mail server as it ends, failed or not, and the notification as failed once it gives it up: at
the end of its flush, `group_interval` or 10 s later. While an alert fires, the next flush follows at once. So
what still fires when the mail server returns is mailed. But a flush that is given up after the alert's end is
never begun again, and since nothing was sent, no RECOVERED follows either: that outage nobody hears of. Such
a loss is always seen as a notification given up, after the incident began, that no success has followed
before the alert ended.

The counters are of all mails together. Where they leave a doubt, the outage counts as untold; while no
request fails, none does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True)
class MailCounts:
    """What an Alertmanager has counted for e-mail since its start, `process` (unix seconds)."""

    process: float
    begun: float = 0.0
    given_up: float = 0.0
    requests: float = 0.0
    failed: float = 0.0

    @property
    def taken(self) -> float:
        """Return how many mails the mail server took."""
        return self.requests - self.failed

    @property
    def pending(self) -> float:
        """Return how many are being tried, or more: one that has nobody to go to counts as begun too."""
        return self.begun - self.given_up - self.taken


@dataclass(frozen=True)
class Trouble:
    """A stretch in which requests failed and none succeeded; `until` None: it lasts."""

    since: float
    failed_at: float
    until: float | None = None
    taken_before: float | None = None
    """When the last mail before it was taken."""


@dataclass(frozen=True)
class Absence:
    """An Alertmanager that was started anew between two looks: what it had in hand is lost."""

    since: float
    until: float
    taken_before: float | None = None


@dataclass(frozen=True)
class MailFlow:
    """What was seen so far, up to the look at `looked_at`."""

    looked_at: float
    counts: MailCounts
    taken_at: float | None = None
    given_up_at: float | None = None
    pending_since: float | None = None
    trouble: Trouble | None = None
    absence: Absence | None = None

    @property
    def failing(self) -> bool:
        """Tell whether mails fail now."""
        return self.trouble is not None and self.trouble.until is None


class Mailed(StrEnum):
    """Whether people were mailed about an incident; TOLD: as far as is known, or it still lasts."""

    TOLD = ""
    UNCLEAR = "unclear"
    UNTOLD = "untold"
    TOLD_LATER = "told_later"


class Verdict(StrEnum):
    """Whether people can have been mailed about an incident."""

    WAIT = "wait"
    TOLD = "told"
    UNTOLD = "untold"


def first_look(counts: MailCounts, now: float) -> MailFlow:
    """Begin to watch: what was before is not known."""
    return MailFlow(now, counts, pending_since=now if counts.pending > 0 else None)


def after_look(flow: MailFlow, counts: MailCounts, now: float) -> MailFlow:
    """Return what is known after another look."""
    if counts.process != flow.counts.process or counts.requests < flow.counts.requests:
        flow = _started_anew(flow, counts, now)
    before = flow.counts
    given_up = counts.given_up > before.given_up
    hurt = given_up or counts.failed > before.failed
    flows = counts.taken > before.taken and (not hurt or counts.pending <= 0)
    trouble = flow.trouble
    if hurt and not flow.failing:
        began = flow.looked_at if flow.pending_since is None else flow.pending_since
        trouble = Trouble(began, now, taken_before=flow.taken_at)
    elif hurt and trouble is not None:
        trouble = replace(trouble, failed_at=now)
    if flows and trouble is not None and trouble.until is None:
        trouble = replace(trouble, until=now)
    pending_since = flow.pending_since if flow.pending_since is not None else now
    return replace(
        flow,
        looked_at=now,
        counts=counts,
        taken_at=now if flows else flow.taken_at,
        given_up_at=now if given_up else flow.given_up_at,
        pending_since=pending_since if counts.pending > 0 else None,
        trouble=trouble,
    )


def _started_anew(flow: MailFlow, counts: MailCounts, now: float) -> MailFlow:
    """Begin at nought; what was being tried in vain is given up by that."""
    return replace(
        flow,
        counts=MailCounts(counts.process),
        given_up_at=now if flow.failing else flow.given_up_at,
        pending_since=None,
        absence=Absence(flow.looked_at, now, flow.taken_at),
    )


@dataclass(frozen=True)
class Ended:
    """What counts of an incident that is over; `alert_ended`: Alertmanager had said so before."""

    opened_at: float
    closed_at: float
    alert_ended: bool = False


@dataclass(frozen=True)
class Patience:
    """How long to wait for evidence, in seconds.

    `lag`: an alert may end this much later or earlier than its incident. `quiet`: no mail is being tried
    any more once none has failed for this long, since Alertmanager pauses for 90 s at most.
    """

    lag: float
    quiet: float


def judge(flow: MailFlow, ended: Ended, now: float, patience: Patience) -> Verdict:
    """Say whether people can have been mailed about an incident that is over."""
    if flow.absence is not None and _missed(flow.absence, ended):
        return Verdict.UNTOLD
    if flow.trouble is not None and _touches(flow.trouble, ended, patience):
        given_up = flow.given_up_at is not None and flow.given_up_at >= max(
            ended.opened_at, ended.closed_at - patience.lag
        )
        if given_up:
            return Verdict.UNTOLD
        lasts = flow.failing and now - flow.trouble.failed_at < patience.quiet
        return Verdict.WAIT if lasts else Verdict.TOLD
    latest = ended.closed_at + patience.lag
    tried = flow.pending_since is not None and flow.pending_since <= latest
    if now < latest or (tried and now < ended.closed_at + patience.quiet):
        return Verdict.WAIT
    return Verdict.TOLD


def _missed(absence: Absence, ended: Ended) -> bool:
    """Tell whether it ended while Alertmanager was away, and no mail had been taken since its beginning."""
    taken = absence.taken_before is not None and absence.taken_before >= ended.opened_at
    return absence.since < ended.closed_at <= absence.until and not taken


def _touches(trouble: Trouble, ended: Ended, patience: Patience) -> bool:
    """Tell whether mails failed at the end of an incident, when its last chance to be mailed was."""
    earliest = ended.closed_at - (patience.lag if ended.alert_ended else 0.0)
    if trouble.since > ended.closed_at + patience.lag:
        return False
    if trouble.until is not None and trouble.until <= max(earliest, ended.opened_at):
        return False
    worked = trouble.taken_before is not None and trouble.taken_before >= ended.opened_at
    return not (worked and trouble.since > ended.closed_at)
