"""Durations as people write them: `500ms`, `15s`, `1m30s`, `35d`."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from core.faults import quoted

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")


def parse_duration(text: str | int | float) -> float:
    """Return the seconds that `text` means; a bare number is seconds.

    Raises ValueError with the mend when it is not a duration.
    """
    if isinstance(text, bool):
        raise ValueError("must be a duration such as 500ms, 15s or 1m30s (got a yes/no)")
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        cleaned = text.strip()
        if re.fullmatch(r"\d+(\.\d+)?", cleaned):
            seconds = float(cleaned)
        elif _WHOLE.fullmatch(cleaned):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(cleaned))
        else:
            raise ValueError(f"must be a duration such as 500ms, 15s or 1m30s (got {quoted(text)})")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"must be a duration of zero or more (got {quoted(text)})")
    return seconds


def format_duration(seconds: float) -> str:
    """Write `seconds` the way a person would: 90 is `1m30s`, 0.8 is `800ms`."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole, rest = divmod(milliseconds, 1000)
    if rest and whole < 60:
        return f"{milliseconds / 1000:g}s"
    pieces = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            pieces.append(f"{count}{unit}")
    return "".join(pieces)


def _validate(value: object) -> float:
    if isinstance(value, str | int | float):
        return parse_duration(value)
    raise ValueError(f"must be a duration such as 500ms, 15s or 1m30s (got {type(value).__name__})")


Duration = Annotated[
    float,
    BeforeValidator(_validate),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*((\d+(\.\d+)?(ms|s|m|h|d|w))+|\d+(\.\d+)?)\s*$"},
                {"type": "number", "minimum": 0},
            ],
            "description": "A duration: 500ms, 15s, 1m30s, 2h, 7d; a bare number is seconds.",
        }
    ),
]
"""A pydantic field type: seconds, zero or more, written as a duration."""
