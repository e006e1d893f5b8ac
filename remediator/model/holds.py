"""What holds healing back from outside: pauses, approvals, storms and maintenance. Pure values.

All times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Pause:
    """A person's word that nothing is to be touched: `scope` is "all", "site:NAME" or "server:NAME".

    `until` None: until somebody resumes.
    """

    scope: str
    by: str
    reason: str
    since: float
    until: float | None = None


class Answer(StrEnum):
    """What a person said to a question; WITHDRAWN: it is not asked any more."""

    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Approval:
    """A question to people, whether a step may be done in an incident, and their answer.

    An approval holds until `expires_at` and for one attempt.
    """

    id: int
    incident_id: int
    step: str
    action: str
    detail: str
    asked_at: float
    answer: Answer | None = None
    answered_by: str = ""
    answered_at: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class Storm:
    """When so much failed at once, or every canary, that nothing was touched: from `since` to `seen_at`."""

    since: float
    seen_at: float
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Maintenance:
    """A planned window that is open now for a site, until `until`."""

    name: str
    until: float
