"""`./sitemedic pause` and `./sitemedic resume`: tell a running remediator to touch nothing, and to go on."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from core.durations import format_duration, parse_duration
from core.faults import ConfigError
from core.servers.schema import servers
from core.sites import load
from core.sites.validate import nearest
from stack.errors import StackError
from stack.flags import folder_option
from stack.home import locate
from stack.parts import PARTS
from stack.remediator_api import RemediatorAPI, remediator_api

by_option = click.option("--by", default=None, metavar="NAME", help="Who you are.  [default: your login]")


class _Lasts(click.ParamType[str]):
    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            if parse_duration(value) <= 0:
                raise ValueError
        except ValueError:
            self.fail(f"must be a duration such as 30m or 2h (got {value!r})", param, ctx)
        return value


@click.command("pause")
@click.argument("scope", required=False)
@click.option("--reason", metavar="TEXT", help="Why: shown wherever healing is held back by it.")
@click.option("--for", "lasts", type=_Lasts(), help="End by itself after this: 30m, 2h.")
@by_option
@folder_option()
def pause_command(
    scope: str | None, reason: str | None, lasts: str | None, by: str | None, folder: Path
) -> None:
    """Have nothing healed: of everything (all), one site or one server. Alone: show what is paused.

    SCOPE is all, site:NAME or server:NAME; a bare NAME will do where it is one of the two. Attempts that
    run are finished, no new one begins. It survives a restart, until `./sitemedic resume SCOPE`.
    """
    api = remediator_api(folder.resolve())
    if scope is None:
        if reason or lasts:
            raise click.UsageError("say what to pause: all, site:NAME or server:NAME")
        _show(api)
        return
    wanted = scope_of(scope, folder)
    if reason is None:
        reason = _ask_reason()
    body: dict[str, Any] = {"scope": wanted, "reason": reason, "by": by or login()}
    if lasts is not None:
        body["for"] = lasts
    done = api.send("POST", "/api/v1/pause", body)
    until = f"until {_moment(done['until'])}" if done.get("until") else f"until ./sitemedic resume {wanted}"
    click.echo(f"Paused: {wanted}, {until}.")


@click.command("resume")
@click.argument("scope", required=False)
@by_option
@folder_option()
def resume_command(scope: str | None, by: str | None, folder: Path) -> None:
    """Let healing go on: end the pause of SCOPE, or the only one there is."""
    api = remediator_api(folder.resolve())
    paused = [one["scope"] for one in _pauses(api)]
    if scope is None:
        if not paused:
            click.echo("Nothing is paused.")
            return
        if len(paused) > 1:
            raise click.UsageError(f"say which: {', '.join(paused)}")
        (wanted,) = paused
    else:
        wanted = _paused_scope(scope, paused)
    api.send("DELETE", "/api/v1/pause", {"scope": wanted, "by": by or login()})
    left = [one for one in paused if one != wanted]
    click.echo(f"Resumed: {wanted}." + (f" Still paused: {', '.join(left)}." if left else ""))


def scope_of(given: str, folder: Path) -> str:
    """Return a scope as the remediator knows it; raise StackError, with the nearest name, for none."""
    kind, colon, name = given.partition(":")
    if given == "all":
        return given
    if colon and kind not in ("site", "server"):
        raise StackError(f"{given!r} is no scope: all, site:NAME or server:NAME")
    known = _names(folder)
    if known is None:
        return given if colon else _refuse(given)
    if colon:
        if name not in known[kind]:
            raise StackError(f"sites.yml has no {kind} {name!r}{nearest(name, known[kind])}")
        return given
    found = [f"{one}:{given}" for one in ("site", "server") if given in known[one]]
    if len(found) == 2:
        raise StackError(f"{given} is a site and a server: say {found[0]} or {found[1]}")
    if not found:
        every = known["site"] | known["server"]
        raise StackError(f"sites.yml has neither a site nor a server {given!r}{nearest(given, every)}")
    return found[0]


def login() -> str:
    """Return the login of whoever types this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


def _refuse(given: str) -> str:
    raise StackError(f"{given!r}: say all, site:NAME or server:NAME (sites.yml cannot be read here)")


def _names(folder: Path) -> Mapping[str, frozenset[str]] | None:
    """Return the names of sites.yml; None where it cannot be read: the remediator may know a good one."""
    try:
        document = load(locate(folder.resolve()).sites_file, PARTS)
    except (ConfigError, StackError, OSError):
        return None
    return {"site": frozenset(one.name for one in document.sites), "server": frozenset(servers(document))}


def _paused_scope(given: str, paused: list[str]) -> str:
    found = [one for one in paused if given in (one, one.partition(":")[2])]
    if len(found) != 1:
        hint = nearest(given, paused) or (f" (paused: {', '.join(paused)})" if paused else "")
        raise StackError(f"{given} is not paused{hint}")
    return found[0]


def _ask_reason() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("say why: --reason TEXT")
    return str(click.prompt("Why? (shown to everybody)", default="", show_default=False)).strip()


def _pauses(api: RemediatorAPI) -> list[dict[str, Any]]:
    return list(api.get("/api/v1/pause").get("pauses", ()))


def _show(api: RemediatorAPI) -> None:
    found = _pauses(api)
    if not found:
        click.echo(
            "Nothing is paused.\n\n  ./sitemedic pause all --reason TEXT      or site:NAME, server:NAME"
        )
        return
    for one in found:
        click.echo(f"{one['scope']}  paused by {one['by'] or 'somebody'}, {_ago(one['since'])}")
        click.echo(f"    {one['reason'] or 'no reason given'}")
        until = f"ends {_moment(one['until'])}, or: " if one.get("until") else ""
        click.echo(f"    {until}./sitemedic resume {one['scope']}")


def _ago(at: float) -> str:
    return f"{format_duration(float(max(1, round(time.time() - at))))} ago"


def _moment(at: float) -> str:
    left = format_duration(float(max(1, round(at - time.time()))))
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC (in {left})"
