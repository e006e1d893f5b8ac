"""The forced command on a server, `on_server/sitemedic-wrapper`, as data: what it is asked, what it answers.

A server without it runs what it is told: the connection is the same. What it refuses is an ActionError here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.servers.containers import ContainerChoice
from core.servers.output import printable
from core.servers.server import ActionError, CommandResult, Connector, Reason

FILE = Path(__file__).with_name("sitemedic-wrapper")
"""The wrapper as it is put on a server."""
PLACE = "/usr/local/bin/sitemedic-wrapper"
ALLOWED = "/etc/sitemedic/allowed"
VERSION = 2
"""Raised with every change of what the wrapper takes or answers."""
SHOWS_CONTAINERS = 2
"""The first version that shows the exporter containers."""
LOOK_SECONDS = 15.0

_OF_CHARACTERS = re.compile(r"\[[^\]]*\]")
_REFUSED = re.compile(r"^sitemedic-wrapper: refused: (.*)$", re.MULTILINE)
_NOT_THERE = frozenset({126, 127})


@dataclass(frozen=True)
class Allowed:
    """What a server's wrapper allows, as lines of its list; `faults` says what is wrong with them."""

    version: int
    lines: frozenset[str]
    faults: tuple[str, ...] = ()


def watch_lines(choices: Iterable[ContainerChoice]) -> tuple[str, ...]:
    """Return the lines that let the exporter see the containers it watches, and touch none.

    The list has no sets of characters (`[ab]`), nor can it choose by labels: it shows more there, never less.
    """
    lines = set()
    for choice in choices:
        pattern = choice.name or choice.compose
        if pattern is not None:
            lines.add(f"watch {_OF_CHARACTERS.sub('?', pattern)}")
        elif choice.label is not None:
            lines |= {"watch *", f"label {choice.label.partition('=')[0]}"}
    return tuple(sorted(lines))


def check_argv() -> list[str]:
    """Ask the wrapper what it allows."""
    return ["sitemedic-wrapper", "check"]


def hook_argv(hook: str, token: str) -> list[str]:
    """Have a hook run, once for this token however often it is asked."""
    return ["sitemedic-hook", hook, token]


def hook_ran_argv(hook: str, token: str) -> list[str]:
    """Ask what became of a token; one that has run nothing by now never will."""
    return ["sitemedic-wrapper", "hook-ran", hook, token]


def refusal(result: CommandResult, server: str) -> ActionError | None:
    """Return what the wrapper said against a command, None where it did not refuse it."""
    said = _REFUSED.search(result.stderr)
    if said is None:
        return None
    text = f"the wrapper on {server} refuses it: {printable(said[1])[:300]}"
    return ActionError(text, reason=Reason.NOT_ALLOWED, permanent=True)


def ask(connector: Connector, server: str) -> Allowed | None:
    """Ask a server's wrapper what it allows; None where there is none.

    Raises ActionError where it refuses to tell, or the connection was lost.
    """
    result = connector.run(check_argv(), LOOK_SECONDS)
    refused = refusal(result, server)
    if refused is not None:
        raise refused
    first, *rest = result.stdout.splitlines() or [""]
    if result.exit_status == 0 and re.fullmatch(r"sitemedic-wrapper \d{1,6}", first):
        faults = tuple(line.removeprefix("fault ")[:300] for line in rest if line.startswith("fault "))
        lines = frozenset(line for line in rest if not line.startswith("fault "))
        return Allowed(int(first.split()[1]), lines, faults)
    if result.exit_status in _NOT_THERE:
        return None
    if result.exit_status == -1:
        text = f"the connection was lost while {server} was asked for its wrapper"
        raise ActionError(text, reason=Reason.UNREACHABLE)
    raise ActionError(
        f"{server} answers `sitemedic-wrapper check` with status {result.exit_status}, not in the wrapper's "
        "words: look at its line in authorized_keys",
        reason=Reason.COMMAND_FAILED,
        permanent=True,
    )
