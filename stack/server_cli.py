"""`./sitemedic server`."""

from __future__ import annotations

from pathlib import Path

import click

from core.servers.options import USER_NAME
from core.sites import load
from stack.errors import StackError
from stack.flags import folder_option
from stack.parts import PARTS
from stack.server_setup import script, setup_of


@click.group("server", no_args_is_help=True)
def server_group() -> None:
    """Prepare the servers that sites are healed on."""


@server_group.command("setup")
@click.argument("name")
@click.option(
    "--user", metavar="NAME", help="Who logs in there.  [default: the user of ssh:, sitemedic for root]"
)
@folder_option("Folder with sites.yml.")
def setup_command(name: str, user: str | None, folder: Path) -> None:
    """Print what to put on a server, as a script for its root. Nothing is run.

    It makes a user, puts the wrapper there, which limits what Sitemedic's key may do to the containers and
    hooks of sites.yml, and adds the key. What is left to do here stands at its end.
    """
    if user is not None and not USER_NAME.fullmatch(user):
        raise click.BadParameter(f"must be a user's name (got {user!r})", param_hint="--user")
    file = folder.resolve() / "sites.yml"
    if not file.exists():
        raise StackError(f"{folder.resolve()} has no sites.yml: ./sitemedic init writes a first one")
    click.echo(script(setup_of(load(file, PARTS), name, user)), nl=False)
