"""`./sitemedic doctor`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from stack.doctor import Diagnosis, Finding, diagnose
from stack.flags import folder_option

_WORDS = {True: "ok", None: "note", False: "FAULT"}
_NARROW, _WIDE = 60, 110


@click.command("doctor")
@folder_option("Folder with sites.yml and .env.")
@click.option("--json", "as_json", is_flag=True, help="Tell it in the words of GET /api/v1/readiness.")
def doctor_command(folder: Path, as_json: bool) -> None:
    """Would healing work right now? Look at everything it needs, and tell the mend for each fault.

    Looks at sites.yml and .env, at the services of ./sitemedic up, at each server (key, pinned host key,
    wrapper, Docker, each container, each hook), at the Linode token and its Linodes. It changes nothing.
    Exit status 0: it would work, 1: something would not.
    """
    found = diagnose(folder.resolve())
    if as_json:
        click.echo(json.dumps({"checks": [one.to_json() for one in found.findings]}, indent=2))
    else:
        width = min(max(shutil.get_terminal_size((_WIDE, 24)).columns, _NARROW), _WIDE)
        for line in report(found, width):
            click.echo(line)
    sys.exit(1 if found.faults else 0)


def report(found: Diagnosis, width: int) -> Iterator[str]:
    """Yield the lines of a report that people read."""
    for place, findings in groupby(found.findings, key=lambda one: one.place):
        yield place
        for one in findings:
            yield from _lines(one, width)
        yield ""
    notes = sum(one.ok is None for one in found.findings)
    told = f"{notes} worth knowing" if notes else ""
    if found.faults:
        number = len(found.faults)
        first = f"{number} {'fault' if number == 1 else 'faults'}"
        yield f"{first}{', ' + told if told else ''}. Mend them, and run this again."
    else:
        yield f"Healing would work{' (' + told + ')' if told else ''}."


def _lines(one: Finding, width: int) -> Iterator[str]:
    head = f"  {_WORDS[one.ok]:<6}{one.check:<14}"
    detail = one.detail if one.site is None or one.ok else f"{one.site}: {one.detail}"
    yield from _wrapped(detail, head, width)
    if one.mend and not one.ok:
        yield from _wrapped(one.mend, f"{'':<8}{'mend':<14}", width)


def _wrapped(text: str, head: str, width: int) -> list[str]:
    """Fold a text below its head; what can be copied, a path or a command's word, is never cut."""
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=" " * len(head),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
