"""`./sitemedic config check`."""

import tempfile
from pathlib import Path

import click

from core.environment import load_environment
from core.faults import ConfigError
from core.sites import Document, load
from exporter.configuration import refuse_unreadable_files
from remediator.schema import file_faults, servers
from stack import checked
from stack.errors import StackError
from stack.parts import PARTS
from stack.render import render
from stack.schema_cli import schema_command
from stack.settings import load_settings


@click.group("config")
def config_group() -> None:
    """Check sites.yml, or print its schema."""


config_group.add_command(schema_command)


@config_group.command("check")
@click.option(
    "--config.file",
    "file",
    type=click.Path(path_type=Path),
    default="sites.yml",
    show_default=True,
    help="The sites.yml to check; .env is read beside it.",
)
def check_command(file: Path) -> None:
    """Tell every fault of sites.yml and .env; change nothing."""
    document = load(file, PARTS)
    if wrong := file_faults(document):
        raise ConfigError(wrong)
    refuse_unreadable_files(document)
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as folder:
        settings = load_settings(load_environment(file.absolute().parent), Path(folder))
        notes = render(document, settings, Path(folder) / "rendered").notes
        if faults := checked.faults(Path(folder) / "rendered"):
            raise StackError("\n".join(faults))
    for note in notes:
        click.echo(f"Note: {note}")
    click.echo(f"{file}: ok, {_count(document)}")


def _count(document: Document) -> str:
    return f"{_number(len(document.sites), 'site')}, {_number(len(servers(document)), 'server')}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
