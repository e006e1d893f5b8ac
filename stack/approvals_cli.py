"""`./sitemedic approvals`, `approve` and `deny`: what healing asks, and a person's answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from core.durations import format_duration
from remediator.model.findings import read, sentence
from remediator.model.seen import Look
from stack.flags import folder_option
from stack.pause_cli import by_option, login
from stack.remediator_api import RemediatorAPI, remediator_api


@click.command("approvals")
@folder_option()
def approvals_command(folder: Path) -> None:
    """Show what waits for a person's yes, with what was found on the server."""
    found = remediator_api(folder.resolve()).get("/api/v1/approvals").get("approvals", [])
    if not found:
        click.echo("Nothing waits for an approval.")
    for one in found:
        click.echo("\n".join(_lines(one)))


@click.command("approve")
@click.argument("number", type=click.IntRange(min=1))
@by_option
@folder_option()
def approve_command(number: int, by: str | None, folder: Path) -> None:
    """Say yes to question NUMBER; every guard is asked again before the act."""
    _answer(remediator_api(folder.resolve()), number, "approved", by)


@click.command("deny")
@click.argument("number", type=click.IntRange(min=1))
@by_option
@folder_option()
def deny_command(number: int, by: str | None, folder: Path) -> None:
    """Say no to question NUMBER: the site is a human's then."""
    _answer(remediator_api(folder.resolve()), number, "denied", by)


def _answer(api: RemediatorAPI, number: int, verdict: str, by: str | None) -> None:
    name = by or login()
    if not name:
        raise click.UsageError("say who you are: --by NAME")
    done = api.send("POST", f"/api/v1/approvals/{number}", {"verdict": verdict, "by": name})
    what = str(done["action"]).replace("_", " ")
    if verdict == "approved" and done.get("expires_at") is not None:
        lasts = format_duration(float(round(done["expires_at"] - done["answered_at"])))
        click.echo(f"Approved: {what} (question {number}). It holds for {lasts} and one attempt.")
    else:
        click.echo(f"Denied: {what} (question {number}). The site is a human's now.")


def _lines(one: Mapping[str, Any]) -> list[str]:
    asked = format_duration(float(max(1, round(time.time() - one["asked_at"]))))
    why = f" ({one['probe_reason']})" if one.get("probe_reason") else ""
    look = one.get("look")
    found = sentence(read(Look(**look))) if isinstance(look, dict) else ""
    tried = [f"{last['action'].replace('_', ' ')}: {last['stage']}" for last in one.get("attempts", ())]
    return [
        f"{one['id']}  {one['site']}{why}: may I {one['action'].replace('_', ' ')}?  asked {asked} ago",
        *([f"    found: {found}"] if found else []),
        *([f"    tried: {'; '.join(tried)}"] if tried else []),
        f"    ./sitemedic approve {one['id']}      or: ./sitemedic deny {one['id']}",
    ]
