"""How deep a YAML text is and what its aliases come to, told before anything is made of it.

A text of some hundred bytes can stand for more than a machine holds (aliases of aliases, also in merges),
and one that is deep enough ends the process: libyaml's composer goes down on the stack of C.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

DEEPEST = 500
"""Levels of lists and mappings; an app below an app takes two."""
LARGEST = 1_000_000
"""Nodes with every alias written out, or 20 times what is written, whichever is more."""
_TIMES = 20

_LOADER = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
_BEGINS = frozenset({yaml.MappingStartEvent, yaml.SequenceStartEvent})
_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})


class UnboundedError(yaml.MarkedYAMLError):
    """A text that is too deep, too large with its aliases, or contains itself."""


def refuse_unbounded(text: str) -> None:
    """Raise UnboundedError, or what the parser raises."""
    begun: list[tuple[str | None, int]] = []  # of each open list and mapping: its anchor, the nodes before it
    anchored: dict[str | None, int] = {}
    nodes = written = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        kind = type(event)
        if kind is yaml.ScalarEvent:
            anchored[event.anchor] = 1
            nodes += 1
            written += 1
        elif kind in _BEGINS:
            begun.append((event.anchor, nodes))
            nodes += 1
            written += 1
            if len(begun) > DEEPEST:
                raise _refused(event, f"it is nested deeper than {DEEPEST} levels")
        elif kind in _ENDS:
            anchor, before = begun.pop()
            anchored[anchor] = nodes - before
        elif kind is yaml.AliasEvent:
            nodes += _size(event, begun, anchored)
            if nodes > max(LARGEST, _TIMES * written):
                what = f"its aliases (*{event.anchor} and others)"
                raise _refused(event, f"{what} come to more than {LARGEST:,} entries")


def _size(alias: Any, begun: Iterable[tuple[str | None, int]], anchored: Mapping[str | None, int]) -> int:
    if any(anchor == alias.anchor for anchor, _ in begun):
        raise _refused(alias, f"*{alias.anchor} stands within what it stands for")
    return anchored.get(alias.anchor, 0)  # what is not known the loader tells


def _refused(event: Any, problem: str) -> UnboundedError:
    return UnboundedError(None, None, problem, event.start_mark)
