"""What is looked at, as data: each check with its answer, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Name(StrEnum):
    """What can be found wrong before it is needed: a closed set, which becomes a metric's label."""

    FILES = "files"
    SSH = "ssh"
    WRAPPER = "wrapper"
    DOCKER = "docker"
    CONTAINER = "container"
    HOOK = "hook"
    LINODE_TOKEN = "linode_token"
    LINODE = "linode"
    CANARIES = "canaries"
    EXPORTER = "exporter"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True)
class Check:
    """One answer: `ok` None says that it could not be looked at, or works and should still be known."""

    check: Name
    ok: bool | None
    detail: str
    mend: str = ""
    server: str | None = None
    site: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the API tells it; without the server or the site that it is not about."""
        return {name: value for name, value in asdict(self).items() if value is not None or name == "ok"}


@dataclass(frozen=True)
class Report:
    """All that was found; `checked_at`: the oldest answer's time, None until all was looked at."""

    checked_at: float | None
    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """Return what would not work."""
        return tuple(one for one in self.checks if one.ok is False)

    def to_json(self) -> dict[str, Any]:
        """Return the report as the API tells it."""
        return {"checked_at": self.checked_at, "checks": [one.to_json() for one in self.checks]}


def counted(checks: Iterable[Check]) -> dict[str, int]:
    """Return how many checks of each name have failed."""
    found: dict[str, int] = dict.fromkeys(Name, 0)
    for one in checks:
        found[one.check] += one.ok is False
    return found
