"""`./sitemedic stress` on the command line."""

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from core.durations import parse_duration
from demo.configuration import SITE
from demo.stress.profiles import PROFILES
from stack.errors import StackError
from stack.flags import folder_option
from stack.stress.run import Stress
from stack.stress.screen import StressScreen
from stack.stress.services import find_watcher

LONGEST = 30 * 60.0
_SERVICES = ("exporter", "prometheus", "alertmanager", "remediator", "mailbox")


def _duration(_ctx: click.Context, _parameter: click.Parameter, value: str) -> float:
    """Read a duration such as 90s or 2m, up to half an hour."""
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds > LONGEST:
        raise click.BadParameter(f"must be 30m or less (got {value!r})")
    return seconds


def _addresses(command: Callable[..., None]) -> Callable[..., None]:
    for service in reversed(_SERVICES):
        option = click.option(
            f"--{service}.url",
            service,
            metavar="URL",
            envvar=f"STRESS_{service.upper()}_URL",
            help=f"Where the {service} is, in place of a Sitemedic that runs in the folder.",
        )
        command = option(command)
    return command


@click.command("stress")
@click.argument("profile", type=click.Choice(list(PROFILES)))
@click.option(
    "--duration",
    callback=_duration,
    default="2m",
    show_default=True,
    help="How long the load lasts; at most 30m.",
)
@click.option(
    "--settle",
    callback=_duration,
    default="1m",
    show_default=True,
    help="How long to wait after the load, at most, for what it leads to.",
)
@click.option("--until-seen", is_flag=True, help="End the load as soon as what is expected of it was seen.")
@click.option("--url", envvar="STRESS_URL", help="Where the demo application is.  [default: the demo's site]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON; all else to standard error."
)
@folder_option("Folder in which Sitemedic was started.")
@_addresses
@click.option(
    "--api-token-file",
    "token_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="STRESS_API_TOKEN_FILE",
    help="The remediator's API_TOKEN, where its address is given.",
)
def stress_command(
    profile: str,
    duration: float,
    settle: float,
    until_seen: bool,
    url: str | None,
    as_json: bool,
    folder: Path,
    token_file: Path | None,
    **addresses: str | None,
) -> None:
    """Put the demo application under load, and tell what Sitemedic makes of it.

    \b
    light      a few visitors look at the shop
    cpu        requests that burn CPU
    memory     requests that hold memory
    database   costly queries
    errors     requests that fail, and pages that do for a while
    extreme    all of it at once

    Sitemedic must be running (./sitemedic up). Only the demo application is ever put under load: what
    answers at --url must say that it is one. Exit status 0 when the load ran to its end.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the load ends, and is told
    watcher = find_watcher(folder.resolve(), _given(addresses), SITE, token_file)
    target = url or watcher.running.urls.get("site")
    if target is None:
        raise StackError(
            "what runs here is no demo: say where the demo application is, with --url "
            "(python -m demo app --port 8000 starts one)"
        )
    screen = StressScreen(to_error=as_json)
    run = Stress(
        PROFILES[profile], watcher, target.rstrip("/"), duration, settle, screen, as_json, until_seen
    )
    sys.exit(run.run())


def _given(addresses: Mapping[str, str | None]) -> dict[str, str]:
    """Return the addresses that were given: none, or enough of them. Raises StackError."""
    given = {name: value.rstrip("/") for name, value in addresses.items() if value}
    if given and (missing := sorted({"exporter", "prometheus", "remediator"} - set(given))):
        raise StackError(f"also needed: {', '.join(f'--{name}.url' for name in missing)}")
    if given and not {"mailbox", "alertmanager"} & set(given):
        raise StackError("also needed, for the mails: --mailbox.url or --alertmanager.url")
    return given
