"""The Linode API's X-Filter header and its pages."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "+gt": operator.gt,
    "+gte": operator.ge,
    "+lt": operator.lt,
    "+lte": operator.le,
    "+neq": operator.ne,
    "+contains": lambda have, wanted: str(wanted).lower() in str(have).lower(),
}
SMALLEST_PAGE, LARGEST_PAGE, USUAL_PAGE = 25, 500, 100

Rows = Sequence[Mapping[str, Any]]


class BadRequestError(Exception):
    """What the API answers with 400: a reason, and the field where there is one."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def select(rows: Rows, header: str | None, filterable: frozenset[str]) -> Rows:
    """Return the rows that the header asks for, in its order; raises BadRequestError."""
    if not header:
        return rows
    try:
        wanted = json.loads(header)
    except ValueError:
        raise BadRequestError("Cannot parse X-Filter header") from None
    if not isinstance(wanted, dict):
        raise BadRequestError("X-Filter header must be an object")
    conditions = dict(wanted)
    order_by, order = conditions.pop("+order_by", None), conditions.pop("+order", "asc")
    kept = [row for row in rows if _matches(row, conditions, filterable)]
    if order_by is None:
        return kept
    _allow(order_by, filterable)
    if order not in ("asc", "desc"):
        raise BadRequestError("+order must be asc or desc")
    return sorted(kept, key=lambda row: _value(row, order_by), reverse=order == "desc")


def page(rows: Rows, number: str, size: str) -> dict[str, Any]:
    """Return one page in the API's shape; raises BadRequestError."""
    if not number.isdecimal() or int(number) < 1:
        raise BadRequestError("Must be a positive integer", "page")
    if not size.isdecimal() or not SMALLEST_PAGE <= int(size) <= LARGEST_PAGE:
        raise BadRequestError(f"Must be {SMALLEST_PAGE}-{LARGEST_PAGE}", "page_size")
    begin = (int(number) - 1) * int(size)
    pages = max(1, -(-len(rows) // int(size)))
    if int(number) > pages:
        raise BadRequestError("Page not found", "page")
    data = list(rows[begin : begin + int(size)])
    return {"data": data, "page": int(number), "pages": pages, "results": len(rows)}


def _matches(row: Mapping[str, Any], conditions: Mapping[str, Any], filterable: frozenset[str]) -> bool:
    return all(_holds(row, key, wanted, filterable) for key, wanted in conditions.items())


def _holds(row: Mapping[str, Any], key: str, wanted: Any, filterable: frozenset[str]) -> bool:
    if key in ("+and", "+or"):
        if not isinstance(wanted, list):
            raise BadRequestError(f"{key} takes a list")
        return (all if key == "+and" else any)([_matches(row, one, filterable) for one in wanted])
    _allow(key, filterable)
    have = _value(row, key)
    if not isinstance(wanted, Mapping):
        return bool(have == wanted)
    unknown = set(wanted) - set(_COMPARE)
    if unknown:
        raise BadRequestError(f"Unknown operator {min(unknown)}", key)
    try:
        return all(_COMPARE[operation](have, value) for operation, value in wanted.items())
    except TypeError:
        raise BadRequestError("Cannot compare with a value of this type", key) from None


def _allow(key: str, filterable: frozenset[str]) -> None:
    if key not in filterable:
        raise BadRequestError(f"Cannot filter on {key}", key)


def _value(row: Mapping[str, Any], key: str) -> Any:
    value: Any = row
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
