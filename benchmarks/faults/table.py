"""docs/reasons.md as data: which reason each behaviour has. It stands there and nowhere else."""

import re
from pathlib import Path

from exporter.reason import Reason

PAGE = Path(__file__).resolve().parents[2] / "docs/reasons.md"
SUCCEEDS = "succeeds"

_PLACES = re.compile(r"`([a-z]+\.[a-z*-]+)`")
_ROW = re.compile(r"\| `([a-z0-9-]+)` \| .+ \| (?:`([a-z]+)`|succeeds) \|")


class TableError(Exception):
    """The page cannot be read as it is."""


def read(page: Path = PAGE) -> dict[str, str]:
    """Return what comes of each behaviour (`http.hangs`): a reason, or `succeeds`. Raises TableError."""
    found: dict[str, str] = {}
    places: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            places = _PLACES.findall(line)
        elif places and line.startswith("| `"):
            row = _ROW.fullmatch(line)
            if row is None or (row[2] and row[2] not in list(Reason)):
                raise TableError(f"{page.name}: line {number} must end with a reason: {line}")
            for place in places:
                name = place.replace("*", row[1])
                if name in found:
                    raise TableError(f"{page.name}: line {number}: {name} has a row already")
                found[name] = row[2] or SUCCEEDS
    return found
