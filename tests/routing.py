"""Which of the rendered routes an alert takes, by Alertmanager's rules, with what each inherits."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.rendering import Output

_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)(".*")', re.DOTALL)
_INHERITED = ("receiver", "group_by", "group_wait", "group_interval", "repeat_interval")
_BUILT_IN = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}


def taken(output: Output, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the routes that an alert takes, in order, each with what it has from those above it."""
    return _taken(output.alertmanager["route"], labels, _BUILT_IN)


def every_route(output: Output) -> Iterator[tuple[str, ...]]:
    """Yield each route as Alertmanager remembers it: its matchers from the top, and its settings."""
    yield from _every(output.alertmanager["route"], (), _BUILT_IN)


def _taken(
    route: dict[str, Any], labels: Mapping[str, str], above: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if not all(matches(matcher, labels) for matcher in route.get("matchers", ())):
        return []
    own = {**above, **{key: route[key] for key in _INHERITED if key in route}}
    found: list[dict[str, Any]] = []
    for child in route.get("routes", ()):
        below = _taken(child, labels, own)
        found += below
        if below and not child.get("continue"):
            break
    return found or [own]


def _every(
    route: dict[str, Any], above: tuple[str, ...], given: Mapping[str, Any]
) -> Iterator[tuple[str, ...]]:
    own = {**given, **{key: route[key] for key in _INHERITED if key in route}}
    key = (*above, str(route.get("matchers", [])))
    yield (*key, str(own))
    for child in route.get("routes", ()):
        yield from _every(child, key, own)


def matches(matcher: str, labels: Mapping[str, str]) -> bool:
    """Return whether a matcher is true of these labels."""
    found = _MATCHER.fullmatch(matcher)
    assert found, matcher
    label, operator, quoted = found.groups()
    value, wanted = labels.get(label, ""), json.loads(quoted)
    same = bool(re.fullmatch(wanted, value)) if "~" in operator else value == wanted
    return same != operator.startswith("!")
