"""What people are to be told about an incident now. Pure: no clock, network or database.

One thing at a time, worked out of the incident's rows alone: after a crash, or an hour without Alertmanager,
it is what is true then. Which row it is about is part of it, so that nothing is told twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from remediator.model.incident import Outcome, Reason, Stage, State, Verb


class Telling(StrEnum):
    """What there is to tell of an incident's healing: the label `stage` of SiteHealing."""

    STARTED = "started"
    APPROVAL = "approval"
    FAILED = "failed"
    HELD = "held"
    HELD_LONG = "held_long"
    RECOVERED = "recovered"
    NEEDS_HUMAN = "needs_human"
    """Told as SiteNeedsHuman."""


KNOWN = frozenset({Reason.MAINTENANCE, Reason.SILENCED, Reason.OBSERVE_MODE})
"""Why nothing is done, in words that somebody has just used himself: no news, however long it lasts."""

STORM = frozenset({Reason.CANARIES_FAIL, Reason.TOO_MANY_UNHEALTHY, Reason.STORM_COOLDOWN})
"""HealingSuspended tells of these, once for all incidents."""

QUIET = STORM | {Reason.PASSING, Reason.NO_RECOVER, Reason.SITE_NOT_DOWN_YET}
"""What is told elsewhere, or is nothing that holds healing back."""

_HOLDING = frozenset({Verb.WAIT, Verb.REFUSE, Verb.OBSERVE})


@dataclass(frozen=True)
class Patience:
    """How long something lasts before it is told, and what was told before something lesser; in seconds."""

    held: float = 60.0
    held_long: float = 600.0
    failed: float = 120.0
    recovered: float = 600.0


@dataclass(frozen=True)
class Try:
    """An attempt, as far as telling goes."""

    id: int
    stage: Stage
    created_at: float
    finished_at: float | None = None


@dataclass(frozen=True)
class Asked:
    """A question that waits for its answer."""

    id: int
    asked_at: float


@dataclass(frozen=True)
class Last:
    """The decision that stands."""

    id: int
    time: float
    verb: str
    reason: str


@dataclass(frozen=True)
class Seen:
    """The rows of one incident, as far as telling goes; `told` is what Alertmanager has of it."""

    id: int
    site: str
    state: State
    opened_at: float
    outage: str = ""
    closed_at: float | None = None
    outcome: Outcome | None = None
    told: str = ""
    attempts: tuple[Try, ...] = ()
    question: Asked | None = None
    decision: Last | None = None


@dataclass(frozen=True)
class News:
    """One thing to tell: `number` is the id of the row it is about, `at` when it became true."""

    telling: Telling
    number: int
    at: float

    @property
    def key(self) -> str:
        """Return what tells it from all other news of the incident, short enough for its column."""
        return f"{self.telling}:{self.number}"


def read_key(key: str) -> tuple[Telling, int] | None:
    """Read what was told out of its key; None for what no version of today has written."""
    telling, _, number = key.partition(":")
    if telling not in set(Telling) or not number.isdecimal():
        return None
    return Telling(telling), int(number)


def news_of(seen: Seen, now: float, patience: Patience) -> News | None:
    """Return what is to be told of an incident now, None where there is nothing."""
    if seen.closed_at is not None:
        return _recovered(seen, now, patience)
    if seen.state is State.NEEDS_HUMAN:
        return News(Telling.NEEDS_HUMAN, seen.id, seen.opened_at)
    if seen.question is not None:
        return News(Telling.APPROVAL, seen.question.id, seen.question.asked_at)
    found = [*_tried(seen), *_held(seen, now, patience)]
    return max(found, key=lambda one: _weight(one, now, patience), default=None)


def _weight(news: News, now: float, patience: Patience) -> tuple[bool, float]:
    """A failure is told for a while before what follows it, which some people are not told."""
    return news.telling is Telling.FAILED and now - news.at < patience.failed, news.at


def _recovered(seen: Seen, now: float, patience: Patience) -> News | None:
    assert seen.closed_at is not None
    if not seen.attempts or seen.state is not State.RECOVERED or now - seen.closed_at >= patience.recovered:
        return None
    return News(Telling.RECOVERED, seen.id, seen.closed_at)


def _tried(seen: Seen) -> Iterator[News]:
    for one in seen.attempts:
        if one.finished_at is None:
            yield News(Telling.STARTED, one.id, one.created_at)
        elif one.stage is Stage.FAILED:
            yield News(Telling.FAILED, one.id, one.finished_at)


def _held(seen: Seen, now: float, patience: Patience) -> Iterator[News]:
    last = seen.decision
    if last is None or last.verb not in _HOLDING or last.reason in QUIET:
        return
    if any(one.finished_at is None for one in seen.attempts):
        return
    ended = [one.finished_at for one in seen.attempts if one.finished_at is not None]
    since = max(seen.opened_at, *ended) if ended else seen.opened_at
    if now - since >= patience.held_long and last.reason not in KNOWN:
        number = max((one.id for one in seen.attempts), default=0)
        yield News(Telling.HELD_LONG, number, since + patience.held_long)
    elif now - last.time >= patience.held:
        yield News(Telling.HELD, last.id, last.time + patience.held)
