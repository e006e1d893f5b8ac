"""What the load tells of itself, one JSON object a line: the seam between its process and who watches it."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How it goes; `per_second` and the percentiles are of the last ten seconds, in milliseconds."""

    at: float
    users: int
    requests: int
    failures: int
    refused: int
    """Answered 429: more at once than the application's bounds allow. No failures."""
    per_second: float
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Endpoint:
    """How one kind of request went, over the whole time; milliseconds."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    max_ms: float


def read(line: str) -> Progress | Endpoint | None:
    """Read a line of it; None for anything else."""
    try:
        words: Any = json.loads(line)
        return Endpoint(**words) if "name" in words else Progress(**words)
    except (ValueError, TypeError):
        return None
