"""What sitemedic-wrapper's answers mean: its first line, its refusals, and what Docker's command died of."""

from __future__ import annotations

import re

from exporter.containers.docker_json import printable
from exporter.containers.model import Reason, SourceError

VERSION = 2
"""The first version that knows the verbs `containers`, `usage` and `events`."""

_FIRST = re.compile(r"sitemedic-wrapper (\d{1,6})")
_REFUSED = re.compile(r"^sitemedic-wrapper: refused: (.*)$", re.MULTILINE)
_OLD = "may only do what Sitemedic does"
_DOWN = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect|\bEOF\b",
    re.IGNORECASE,
)


def first_line_fault(server: str, line: str) -> SourceError | None:
    """Return what is wrong with an answer's first line; None where it is that of a wrapper we know."""
    said = _FIRST.fullmatch(line.strip())
    if said is None:
        text = f"{server} answers in words that are not the wrapper's: look at its line in authorized_keys"
        return SourceError(text, Reason.GARBLED)
    return None if int(said[1]) >= VERSION else _wrapper(server, f"has version {said[1]} only")


def failure(server: str, status: int, said: str) -> SourceError:
    """Say what a verb's bad end means, and what to do about it."""
    refused = _REFUSED.search(said)
    if refused is not None and _OLD in refused[1]:
        return _wrapper(server, "is too old to show containers")
    if refused is not None:
        return SourceError(f"the wrapper on {server} refuses it: {printable(refused[1])}", Reason.REFUSED)
    told = printable(said.strip().replace("\n", " "))[:300]
    if "docker: not found" in said or "docker: command not found" in said:
        return SourceError(f"Docker is not installed on {server}: {told}", Reason.ENGINE_DOWN)
    if status in (126, 127):
        return _wrapper(server, "is not there, or not in force")
    if status in (124, 137):
        text = f"Docker on {server} did not answer in time: does it hang? Try there: docker ps"
        return SourceError(text, Reason.TIMEOUT)
    if "permission denied" in said.lower():
        text = f"its user may not use Docker on {server}: usermod -aG docker USER there ({told})"
        return SourceError(text, Reason.REFUSED)
    if _DOWN.search(said) or "docker events ended" in said:
        text = f"Docker does not run on {server}: look there: systemctl status docker ({told})"
        return SourceError(text, Reason.ENGINE_DOWN)
    return SourceError(f"Docker on {server} failed with status {status}: {told}", Reason.ENGINE_DOWN)


def _wrapper(server: str, what: str) -> SourceError:
    mend = f"copy the new wrapper: ./sitemedic server setup {server}"
    return SourceError(f"the sitemedic-wrapper on {server} {what}: {mend}", Reason.WRAPPER)
