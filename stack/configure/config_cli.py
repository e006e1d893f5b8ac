"""`./sitemedic config check`, and its siblings `show`, `heartbeat` and `schema`."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import click

from core.environment import load_environment
from core.faults import ConfigError, Fault
from core.flags import config_file
from core.secrets import MASK
from core.servers.schema import api_file_faults, file_faults, servers
from core.sites import Document, load
from exporter.configuration import refuse_unreadable_files
from stack import checked
from stack.configure import dubious_env
from stack.configure.heartbeat_cli import heartbeat_command
from stack.configure.idle_playbooks import idle_playbooks
from stack.configure.schema_cli import schema_command
from stack.configure.show import show_command
from stack.configure.unsafe import warnings
from stack.errors import StackError
from stack.parts import PARTS
from stack.render import render
from stack.settings import Settings, load_settings

T = TypeVar("T")
_SHORTEST = 4
"""Characters. What is shorter stands in too many words to be masked, and is no secret."""
_COMPOSE = (("docker", "compose"), ("docker-compose",))


@click.group("config")
def config_group() -> None:
    """Check sites.yml, show what holds for a site, what its job calls, or print the schema."""


config_group.add_command(heartbeat_command)
config_group.add_command(schema_command)
config_group.add_command(show_command)


@config_group.command("check")
@config_file("The sites.yml to check; .env is read beside it.")
def check_command(config_file: Path) -> None:
    """Tell every fault of sites.yml and .env, and what is unsafe; change nothing.

    What is made out of them (rules, Prometheus's and Alertmanager's configuration) is shown to
    promtool and amtool, and docker-compose.yml to docker compose, where these are installed.
    Exits 1 when there is a fault; what is only unsafe is told.
    """
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as folder:
        document, environ, settings = _read(config_file, Path(folder))
        notes = render(document, settings, Path(folder) / "rendered").notes
        if faults := checked.faults(Path(folder) / "rendered"):
            raise StackError("\n".join(faults))
        compose = list(_compose_notes(config_file.absolute().parent))
    dubious = dubious_env.notes(config_file.absolute().parent / ".env")
    for line in (*notes, *dubious, *idle_playbooks(document), *checked.unchecked(), *compose):
        click.echo(f"Note: {line}")
    for line in warnings(document, environ, settings.smtp):
        click.echo(f"Unsafe: {line}")
    click.echo(f"{config_file}: ok, {_count(document)}")


def _read(file: Path, data: Path) -> tuple[Document, Mapping[str, str], Settings]:
    """Return sites.yml and .env as they are understood. Raises ConfigError with the faults of both."""
    faults: list[Fault] = []
    document = _collected(lambda: load(file, PARTS), faults)
    if document is not None:
        faults.extend([*file_faults(document), *api_file_faults(document)])
        _collected(lambda: refuse_unreadable_files(document), faults)
    environ = _collected(lambda: load_environment(file.absolute().parent), faults)
    settings = _collected(lambda: load_settings(environ or {}, data), faults)
    if document is None or environ is None or settings is None or faults:
        raise ConfigError(faults)
    return document, environ, settings


def _collected(read: Callable[[], T], faults: list[Fault]) -> T | None:
    try:
        return read()
    except ConfigError as error:
        faults.extend(error.faults)
        return None


def _compose_notes(folder: Path) -> Iterator[str]:
    """Have docker compose read docker-compose.yml with this .env. Raises StackError with what it finds."""
    description = Path(__file__).parents[2] / "docker-compose.yml"
    command = next((words for words in _COMPOSE if _works(words)), None)
    if command is None:
        yield "docker-compose.yml was not checked: there is no docker compose here."
        return
    environment = folder / ".env"
    with_env = ("--env-file", str(environment)) if environment.is_file() else ()
    done = subprocess.run(
        (*command, *with_env, "--file", str(description), "config", "--quiet"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        said = _without_values(done.stderr.strip(), environment)
        raise StackError(f"docker-compose.yml: {' '.join(command)} refuses it:\n  {said}")


def _without_values(text: str, environment: Path) -> str:
    """Return `text` without anything that stands behind a = in .env: compose quotes what it cannot read."""
    lines = environment.read_text("utf-8").splitlines() if environment.is_file() else []
    values = {line.partition("=")[2].strip().strip("'\"") for line in lines if "=" in line}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK)
    return text


def _works(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run((*command, "version"), capture_output=True, check=False, timeout=30)
    return done.returncode == 0


def _count(document: Document) -> str:
    return f"{_number(len(document.sites), 'site')}, {_number(len(servers(document)), 'server')}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
