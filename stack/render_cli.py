"""`sitemedic render`: write Prometheus's and Alertmanager's configuration."""

from pathlib import Path

import click

from core.environment import load_environment
from core.flags import config_file
from core.sites import load
from stack.errors import StackError
from stack.parts import PARTS
from stack.render import ROOT, render
from stack.settings import load_settings

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("render")
@config_file("The sites to render for.", ROOT / "sites.yml", shown="sites.yml")
@click.option(
    "--out", type=_FOLDER, default=ROOT / "data" / "rendered", show_default="data/rendered", help="Where to."
)
@click.option(
    "--data",
    type=_FOLDER,
    default=ROOT / "data",
    show_default="data",
    help="Where generated tokens are kept.",
)
@click.option(
    "--target",
    type=click.Choice(["local", "compose"]),
    default="local",
    show_default=True,
    help="Addresses of one machine, or the names of docker-compose.yml's services.",
)
def render_command(config_file: Path, out: Path, data: Path, target: str) -> None:
    """Write Prometheus's and Alertmanager's configuration out of sites.yml and the .env beside it."""
    document = load(config_file, PARTS)
    environ = load_environment(config_file.absolute().parent)
    settings = load_settings(environ, data, "compose" if target == "compose" else "local")
    try:
        rendered = render(document, settings, out)
    except OSError as error:
        raise StackError(f"cannot write below {out}: {error.strerror or error}") from error
    for path in rendered.files:
        click.echo(f"wrote {path}")
    for note in rendered.notes:
        click.echo(f"note: {note}")
