"""`./sitemedic history`: what happened, why, and on which numbers, out of the database itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import make_url

from core.durations import format_duration, parse_duration
from core.environment import load_environment
from core.secrets import from_environment
from remediator.errors import RemediatorError
from remediator.store.database import Store
from remediator.store.history import history
from stack.containers import DATABASE
from stack.errors import StackError
from stack.flags import folder_option
from stack.home import locate


@click.command("history")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with everything.")
@click.option("--site", metavar="NAME", help="Of this site only.")
@click.option("--since", metavar="DURATION", help="What was still open this long ago, or came later: 2d.")
@click.option("--log-lines", is_flag=True, help="With what the containers logged, which may hold secrets.")
@folder_option()
def history_command(
    as_json: bool, site: str | None, since: str | None, log_lines: bool, folder: Path
) -> None:
    """Show incidents with their timeline, decisions and attempts; what people did stands between them.

    It reads the database, so it works while the remediator does not, for whoever may read that.
    """
    begin = None if since is None else time.time() - _seconds(since)
    store = Store(_database(folder.resolve()), guest=True)
    found = False
    try:
        for one in history(store, begin, site, log_lines):
            found = True
            click.echo(json.dumps(one, ensure_ascii=False) if as_json else "\n".join(_words(one)))
    except RemediatorError as error:
        raise StackError(str(error)) from error
    finally:
        store.close()
    if not found and not as_json:
        click.echo("Nothing yet.")


def _seconds(since: str) -> float:
    try:
        return parse_duration(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error


def _database(folder: Path) -> str:
    """Return the URL of the folder's database; raise StackError where there is none yet."""
    given = from_environment("STORAGE_URL", load_environment(folder))
    if given is not None:
        return _there(given.reveal().strip())
    own = locate(folder).data / "remediator.db"
    return _there(f"sqlite:///{own}" if own.exists() or not _exists(DATABASE) else DATABASE)


def _there(url: str) -> str:
    if url.startswith("sqlite") and not _exists(url):
        path = make_url(url).database
        raise StackError(f"there is no database {path}: has the remediator run here? (--dir says where)")
    return url


def _exists(url: str) -> bool:
    return Path(make_url(url).database or "").is_file()


def _words(one: Mapping[str, Any]) -> Iterator[str]:
    if "event" in one:
        event = one["event"]
        yield f"{_day(event['time'])}  {_told(event)}"
        return
    incident = one["incident"]
    yield f"{_day(incident['opened_at'])}  {incident['site']}, incident {incident['id']}: {_end(incident)}"
    lines = [(event["time"], _told(event)) for event in incident["timeline"]]
    lines += [(each["time"], _decision(each)) for each in incident["decisions"]]
    for at, text in sorted(lines, key=lambda line: line[0]):
        yield f"    {_clock(at)}  {text}"


def _end(incident: Mapping[str, Any]) -> str:
    if incident["closed_at"] is None:
        return f"{incident['state']}, {incident['reason'] or 'not decided yet'}"
    lasted = format_duration(max(1, round(incident["closed_at"] - incident["opened_at"])))
    return f"{incident['state']} ({incident['outcome']}) after {lasted}"


def _decision(decision: Mapping[str, Any]) -> str:
    what = f"{decision['verb']} {decision['action'] or ''}".strip()
    return f"decided: {what}: {decision['reason']}: {decision['detail']}".rstrip(": ")


def _told(event: Mapping[str, Any]) -> str:
    return f"{event['kind']}: {event['text']}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
