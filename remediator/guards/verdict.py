"""What a guard may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from remediator.model.action import JSON
from remediator.model.facts import Facts, Step
from remediator.model.incident import Reason


@dataclass(frozen=True)
class Allow:
    """Nothing against it; `numbers` are kept with the decision."""

    numbers: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class WaitUntil:
    """Not now: ask again at `until` (unix seconds) or when the world changes."""

    reason: Reason
    until: float
    detail: str = ""
    numbers: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuse:
    """Not as things stand; `escalate` asks a human, otherwise the incident stays as it is."""

    reason: Reason
    detail: str = ""
    escalate: bool = False
    numbers: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """Not before a person has approved it."""

    reason: Reason
    detail: str = ""
    numbers: Mapping[str, JSON] = field(default_factory=dict)


Verdict: TypeAlias = Allow | WaitUntil | Refuse | Ask
Guard: TypeAlias = Callable[[Facts, Step, float], Verdict]
"""Pure: facts, the step that is meant, and now. An exception inside one refuses."""
SOON = 5.0
"""Seconds after which a guard that cannot name a better time is asked again."""
