"""The remediator's words: incident, attempt, decision and their closed sets. Pure values, no behaviour.

All times are unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.model.action import JSON, Marks
from remediator.model.mail_flow import Mailed
from remediator.model.seen import Look

SITE_DOWN = "SiteDown"
CONTAINER_DOWN = "ContainerDown"
"""The alerts that open incidents: a site that is down, and, earlier, the container that it lives in."""


class State(StrEnum):
    """Where an incident is."""

    OPEN = "open"
    OBSERVING = "observing"
    AWAITING_APPROVAL = "awaiting_approval"
    ATTEMPTING = "attempting"
    VERIFYING = "verifying"
    NEEDS_HUMAN = "needs_human"
    RECOVERED = "recovered"
    REMOVED = "removed"


CLOSED = frozenset({State.RECOVERED, State.REMOVED})


class Outcome(StrEnum):
    """How an incident ended."""

    HEALED = "healed"
    BY_ITSELF = "by_itself"
    BY_A_HUMAN = "by_a_human"
    REMOVED = "removed"
    NOT_DOWN = "not_down"
    """Only its container was down: no probe of the site ever failed."""
    ALREADY_OVER = "already_over"
    """Its alert was posted late, of an outage that had ended by then: no probe has failed since."""


class Stage(StrEnum):
    """Where an attempt is; each is written before what it names is done."""

    PREPARED = "prepared"
    ACTING = "acting"
    SETTLING = "settling"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"


FINISHED = frozenset({Stage.SUCCEEDED, Stage.FAILED, Stage.ABANDONED})
UNFINISHED = tuple(stage for stage in Stage if stage not in FINISHED)


class Kind(StrEnum):
    """What an outage looks like from outside."""

    ANSWERS_WRONGLY = "answers_wrongly"
    DOES_NOT_ANSWER = "does_not_answer"
    FOR_A_HUMAN = "for_a_human"


KINDS: Mapping[str, Kind] = {
    "status": Kind.ANSWERS_WRONGLY,
    "body": Kind.ANSWERS_WRONGLY,
    "header": Kind.ANSWERS_WRONGLY,
    "protocol": Kind.ANSWERS_WRONGLY,
    "refused": Kind.DOES_NOT_ANSWER,
    "reset": Kind.DOES_NOT_ANSWER,
    "timeout": Kind.DOES_NOT_ANSWER,
}
"""The exporter's reasons that may be acted on; every other reason, known or not, is for a human."""


def kind_of(reason: str | None) -> Kind:
    """Say what kind of outage a failed probe's reason stands for."""
    return KINDS.get(reason or "", Kind.FOR_A_HUMAN)


class Verb(StrEnum):
    """What a decision says to do."""

    ACT = "act"
    LOOK = "look"
    WAIT = "wait"
    REFUSE = "refuse"
    OBSERVE = "observe"
    ASK = "ask"
    ESCALATE = "escalate"
    CLOSE = "close"


class Reason(StrEnum):
    """Why it was decided so: a closed set, which becomes a metric's label."""

    # to act or to look
    ANSWERS_WRONGLY = "answers_wrongly"
    DOES_NOT_ANSWER = "does_not_answer"
    LOOK_FIRST = "look_first"
    SERVER_UNREACHABLE = "server_unreachable"
    # to close
    PROVED = "proved"
    SITE_REMOVED = "site_removed"
    # to wait
    PASSING = "passing"
    NO_FRESH_PROBE = "no_fresh_probe"
    NO_SITES = "no_sites"
    CANARIES_FAIL = "canaries_fail"
    TOO_MANY_UNHEALTHY = "too_many_unhealthy"
    ONE_AT_A_TIME = "one_at_a_time"
    SERVER_BUSY = "server_busy"
    COOLDOWN = "cooldown"
    NEED_UNHEALTHY = "need_unhealthy"
    START_UP = "start_up"
    SITE_NOT_DOWN_YET = "site_not_down_yet"
    STORM_COOLDOWN = "storm_cooldown"
    MAINTENANCE = "maintenance"
    SILENCED = "silenced"
    SILENCES_UNKNOWN = "silences_unknown"
    LINODE_BUSY = "linode_busy"
    FOREIGN_EVENT = "foreign_event"
    # to refuse or to observe
    PAUSED = "paused"
    OBSERVE_MODE = "observe_mode"
    NO_RECOVER = "no_recover"
    NO_TARGET = "no_target"
    GUARD_ERROR = "guard_error"
    # to ask whether it may be done
    APPROVAL_NEEDED = "approval_needed"
    # to hand over to a human
    APPROVAL_DENIED = "approval_denied"
    SERVER_OFF = "server_off"
    CRASH_LOOP = "crash_loop"
    FOR_A_HUMAN = "for_a_human"
    OWN_SERVER = "own_server"
    OWN_CONTAINER = "own_container"
    NO_CANARIES = "no_canaries"
    ATTEMPT_BUDGET = "attempt_budget"
    REBOOT_NOT_ALLOWED = "reboot_not_allowed"
    HEALTHY_NEIGHBOUR = "healthy_neighbour"
    NOTHING_LEFT = "nothing_left"
    CANNOT_ENTER = "cannot_enter"
    CANNOT_TELL = "cannot_tell"
    ACTION_IMPOSSIBLE = "action_impossible"


REVISABLE = frozenset({Reason.FOR_A_HUMAN, Reason.NO_TARGET, Reason.CANNOT_TELL})
"""What an incident may come back from: nothing was done in vain, and the world can change."""


class Mode(StrEnum):
    """How far the remediator may go by itself."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


@dataclass(frozen=True)
class Incident:
    """One outage of one site, as its row says.

    `outage` is its alert's label, for grouping only. `mailed_at`: when the digest was first posted, or told.
    `alert`: what it stands on: ContainerDown until SiteDown has fired for the site.
    """

    id: int
    site: str
    state: State
    opened_at: float
    reason: str | None = None
    detail: str = ""
    closed_at: float | None = None
    outcome: Outcome | None = None
    failing_since: float | None = None
    alert_status: str = "firing"
    passes: int = 0
    passed_at: float | None = None
    probe_reason: str | None = None
    look: Look | None = None
    decided: str = ""
    next_at: float | None = None
    told: str = ""
    outage: str = ""
    mailed: Mailed = Mailed.TOLD
    mailed_at: float | None = None
    alert: str = SITE_DOWN

    @property
    def early(self) -> bool:
        """Tell whether only the site's container was told to be down, and the site itself not yet."""
        return self.alert == CONTAINER_DOWN


@dataclass(frozen=True)
class Attempt:
    """One run of an action, as its row says; `fence` is the lease's number under which it may be written."""

    id: int
    incident_id: int
    site: str
    server: str
    target: str
    action: str
    step: str
    stage: Stage
    fence: int
    created_at: float
    stage_at: float
    next_at: float = 0.0
    acted_at: float | None = None
    finished_at: float | None = None
    reason: str | None = None
    detail: str = ""
    permanent: bool = False
    passes: int = 0
    marks: Marks = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Tell whether the verdict is in."""
        return self.stage in FINISHED

    @property
    def counts(self) -> bool:
        """Tell whether it uses up the budget: all but what was abandoned before anything was touched."""
        return self.stage is not Stage.ABANDONED or self.acted_at is not None


@dataclass(frozen=True)
class Lease:
    """Who may touch a server, and until when."""

    server: str
    owner: str
    fence: int
    expires_at: float
    attempt_id: int | None = None


@dataclass(frozen=True)
class Decision:
    """What to do about an incident and why, with the numbers it was taken on; `until` is for WAIT.

    `storm`: why everything is held back, and in which words, where it is; the reason told may be another.
    """

    verb: Verb
    reason: Reason
    detail: str = ""
    action: str | None = None
    step: str | None = None
    until: float | None = None
    numbers: Mapping[str, JSON] = field(default_factory=dict)
    storm: tuple[Reason, str] | None = None

    @property
    def signature(self) -> str:
        """Return what must change for a decision to be news."""
        return f"{self.verb}/{self.reason}/{self.action or ''}"
