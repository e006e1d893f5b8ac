"""What was seen: by a fresh probe, by the exporter's schedule, by the canaries, on the server. Pure values.

All times are unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediator.model.action import JSON


@dataclass(frozen=True)
class Probe:
    """One answer of the exporter to a fresh probe; `time` is ours, at the answer."""

    site: str
    success: bool
    time: float
    reason: str | None = None
    detail: str = ""
    status_code: int | None = None
    duration: float = 0.0
    raw: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def instance(self) -> str:
        """Return where the site was probed, as the exporter names it."""
        return str(self.raw.get("instance") or "")


@dataclass(frozen=True)
class SiteState:
    """What the exporter's schedule last saw of a site; `success` None: nothing yet."""

    site: str
    success: bool | None
    part_of: str
    server: str | None = None
    group: str | None = None
    instance: str = ""
    severity: str = "critical"
    reason: str | None = None
    detail: str = ""
    last_probe: float | None = None
    last_success: float | None = None
    failing_since: float | None = None
    duration: float | None = None
    stale: bool = False


@dataclass(frozen=True)
class Canary:
    """One answer to "is it us?"."""

    target: str
    success: bool
    detail: str = ""


@dataclass(frozen=True)
class Look:
    """What was found on the server before anything was touched; `ssh` is "ok" or an action's reason."""

    time: float
    ssh: str
    evidence: Mapping[str, JSON] = field(default_factory=dict)
