"""`./sitemedic import`: a sites.yml out of what another monitor was told."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from core.faults import ConfigError
from core.files import write_whole
from core.sites import load
from core.sites.yaml_file import read_yaml
from stack.configure.from_prometheus import import_prometheus
from stack.configure.from_uptime_kuma import import_uptime_kuma, monitors_of_backup, monitors_of_database
from stack.configure.imported import Imported, ImportFileError, sites_text
from stack.errors import StackError
from stack.parts import PARTS

_SQLITE = b"SQLite format 3\x00"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("file", type=_FILE)
@click.option("--modules-file", type=_FILE, help="The blackbox.yml whose modules a Prometheus job names.")
@click.option("--email", help="Who is mailed about all of them.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default="sites.yml", show_default=True,
    help="Where to write it; - prints it.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def import_command(file: Path, modules_file: Path | None, email: str | None, out: Path, force: bool) -> None:
    """Make a sites.yml out of FILE, and tell what could not be taken over.

    FILE is a Prometheus configuration with blackbox_exporter jobs, an Uptime Kuma backup (JSON), or Uptime
    Kuma's database (kuma.db).
    """
    if str(out) != "-" and out.exists() and not force:
        raise StackError(f"{out} is there already: name another with --out, or let --force replace it")
    try:
        found = _read(file, modules_file, _folder(out))
    except ImportFileError as error:
        raise StackError(str(error)) from error
    if email:
        found.defaults["email"] = email
    _say(found, _written(found, file, out))


def _folder(out: Path) -> Path:
    return Path.cwd() if str(out) == "-" else out.absolute().parent


def _read(file: Path, modules_file: Path | None, folder: Path) -> Imported:
    """Return what a file of any known kind holds. Raises ImportFileError."""
    try:
        with file.open("rb") as start:
            if start.read(len(_SQLITE)) == _SQLITE:
                return import_uptime_kuma(*monitors_of_database(file))
    except OSError as error:
        raise ImportFileError(f"{file} cannot be read: {error.strerror}") from error
    raw = _json(file)
    if raw is None:
        raw = read_yaml(file, file.name)
    if isinstance(raw, Mapping) and "scrape_configs" in raw:
        beside = file.parent / "blackbox.yml"
        modules = modules_file or (beside if beside.is_file() else None)
        return import_prometheus(file, {str(key): value for key, value in raw.items()}, modules, folder)
    if isinstance(raw, Mapping) and "monitorList" in raw:
        return import_uptime_kuma(*monitors_of_backup(raw))
    raise ImportFileError(
        f"{file.name} is neither a Prometheus configuration (it has no scrape_configs) "
        "nor an Uptime Kuma backup (no monitorList)"
    )


def _json(file: Path) -> Any:
    """Return what a file holds if it is JSON, else None; YAML reads some of its escapes otherwise."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    except RecursionError as error:
        raise ImportFileError(f"{file.name} is nested too deeply") from error


def _written(found: Imported, source: Path, out: Path) -> int:
    """Write what was found where it is sound; return how many sites that makes. Raises StackError."""
    folder = _folder(out)
    trial = folder / f".import-{out.name.strip('-') or 'sites.yml'}"
    try:
        text, sites = _sound(found, source, trial)
        if str(out) == "-":
            click.echo(text, nl=False)
        else:
            trial.replace(out)
    except OSError as error:
        raise StackError(f"cannot write to {folder}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)
    return sites


def _sound(found: Imported, source: Path, trial: Path) -> tuple[str, int]:
    """Return the sites.yml, which then stands in `trial`, and how many sites it has.

    What would be wrong in it is left out and noted. Raises StackError when that leaves nothing, or does
    not help.
    """
    while True:
        text = sites_text(found, source)
        write_whole(trial, text)
        try:
            return text, len(load(trial, PARTS).sites)
        except ConfigError as error:
            left_out = found.leave_out(fault for fault in error.faults if fault.file == trial.name)
            if left_out and (found.sites or found.site_files):
                continue
            told = "\n".join(found.notes) if left_out else str(error).replace(trial.name, "sites.yml")
            raise StackError(
                f"nothing was written, since it would not be a right sites.yml:\n{told}"
            ) from error


def _say(found: Imported, sites: int) -> None:
    for note in found.notes:
        click.echo(f"Not imported: {note}", err=True)
    noun = "site" if sites == 1 else "sites"
    click.echo(f"{sites} {noun}. Next: ./sitemedic config check", err=True)
