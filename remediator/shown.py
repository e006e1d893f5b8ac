"""What of an incident is shown to whom: an application's log lines may hold what strangers must not read."""

from __future__ import annotations

from typing import Any

_TAIL = "log_tail"
HIDDEN = "log_lines_hidden"


def without_log_lines(found: Any) -> Any:
    """Return the same without kept log lines, and with how many there are."""
    if isinstance(found, dict):
        kept = {name: without_log_lines(value) for name, value in found.items() if name != _TAIL}
        tail = found.get(_TAIL)
        return kept | ({_TAIL: [], HIDDEN: len(tail)} if isinstance(tail, list) else {})
    if isinstance(found, list):
        return [without_log_lines(one) for one in found]
    return found
