"""`./sitemedic up` on the command line."""

import sys
from contextlib import suppress
from pathlib import Path

import click

from core.output import given_up
from stack.flags import folder_option
from stack.home import locate
from stack.up import up


@click.command("up")
@folder_option("Folder with sites.yml and .env; state goes into its data/.")
@click.option("--yes", is_flag=True, help="Install missing Debian packages without asking.")
def up_command(folder: Path, yes: bool) -> None:
    """Start everything here, and keep it running until Ctrl-C.

    The exporter, the remediator, Prometheus and Alertmanager run on this machine, configured by
    sites.yml and .env; both are followed while it runs. Where there is neither a sites.yml nor any
    state, a demo runs, with a site of its own to break: see ./sitemedic demo --help.

    Ctrl-C stops everything in order; a second one at once.
    """
    status = up(locate(folder.resolve()), _say, yes)
    given_up()  # what a full disk did not take of what was said is no error at the very end
    sys.exit(status)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody reads any more: no reason to stop
        click.echo(line)
