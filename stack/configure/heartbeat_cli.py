"""`./sitemedic config heartbeat [SITE]`: the secret addresses that jobs call."""

import os
import tempfile
from pathlib import Path

import click

from core.environment import load_environment
from core.flags import config_file
from core.secrets import from_environment
from core.sites.validate import nearest
from exporter.configuration import read
from exporter.heartbeats.file import KEY_VARIABLE, HeartbeatFile, usual_folder
from stack.errors import StackError
from stack.parts import PARTS
from stack.settings import load_settings


@click.command("heartbeat")
@click.argument("site", required=False)
@config_file("The sites.yml to read; .env is read beside it.")
@click.option(
    "--storage.path",
    "storage_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="The exporter's folder.  [default: data/exporter beside the file]",
)
@click.option("--url", help="Where jobs reach the exporter.  [default: as .env has it]")
def heartbeat_command(
    site: str | None, config_file: Path, storage_path: Path | None, url: str | None
) -> None:
    """Print what the job of SITE has to call, or those of all heartbeat sites.

    These addresses are secrets: who knows one can say that the job ran.
    """
    book = HeartbeatFile(
        storage_path or usual_folder(config_file), from_environment(KEY_VARIABLE, os.environ)
    )
    heartbeats = {
        one.name: one.heartbeat for one in read(config_file, PARTS).sites if one.heartbeat is not None
    }
    if site is not None and site not in heartbeats:
        hint = nearest(site, heartbeats) or " (a heartbeat site has url: heartbeat://NAME)"
        raise StackError(f"{config_file.name} has no heartbeat site {site!r}{hint}")
    if not heartbeats:
        raise StackError(
            f"{config_file.name} has no heartbeat site: one has url: heartbeat://NAME and every: 1d"
        )
    base = (url or _exporters_url(config_file)).rstrip("/")
    for name in [site] if site else heartbeats:
        click.echo(f"{name}  {base}/heartbeat/{book.token(heartbeats[name])}")


def _exporters_url(file: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as folder:
        return load_settings(load_environment(file.absolute().parent), Path(folder)).exporter.url
