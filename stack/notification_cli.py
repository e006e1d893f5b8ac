"""`./sitemedic mail test`, and the same of each receiver in .env."""

import sys
import tempfile
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from core.environment import load_environment
from core.flags import Decorator
from core.sites import load
from stack import packages
from stack.alerting import Addresses, default_mail_to, site_mail_to
from stack.errors import StackError
from stack.flags import folder_option
from stack.notification_test import send_test
from stack.parts import PARTS
from stack.processes import handle_stops
from stack.receivers import LINES
from stack.settings import Settings, load_settings

_DOCS = "docs/notifications.md says where to get it"


def group(receiver: str, title: str) -> click.Group:
    """Return the commands of one receiver."""
    commands = click.Group(receiver, help=f"Try {title}.", no_args_is_help=True)
    to = click.option(
        "--to",
        type=_Address(),
        help="Who is mailed.  [default: defaults.email of sites.yml, else the first site's email]",
    )
    yes = click.option("--yes", is_flag=True, help="Install missing Debian packages without asking.")

    def command(folder: Path, yes: bool, to: str | None = None) -> None:
        sys.exit(0 if _test(receiver, folder.resolve(), to, yes) else 1)

    options: list[Decorator] = [yes, folder_option(), *([to] if receiver == "mail" else [])]
    for option in options:
        command = option(command)
    text = f"Send one test notification by {title}, and tell how it went."
    commands.add_command(click.command("test", help=text, short_help=text)(command))
    return commands


class _Address(click.ParamType[str]):
    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            TypeAdapter(Addresses).validate_python(value)
        except ValidationError:
            self.fail(f"must be an address such as ops@example.com (got {value!r})", param, ctx)
        return value


def _test(receiver: str, folder: Path, to: str | None, yes: bool) -> bool:
    environ = load_environment(folder)
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as tokens:
        settings = load_settings(environ, Path(tokens))
    _need(settings, receiver)
    mail_to = _mail_to(folder, to) if receiver == "mail" else ()
    packages.ensure(("alertmanager",), yes=yes, say=click.echo)
    handle_stops(lambda number, _: sys.exit(128 + number))  # so that nothing is left behind
    return send_test(settings, receiver, mail_to, click.echo)


def _need(settings: Settings, receiver: str) -> None:
    if receiver == "mail":
        if settings.smtp is None:
            raise StackError(
                "no mail can be sent, since .env does not set SMTP_HOST. For Gmail, for example:\n"
                "  SMTP_HOST=smtp.gmail.com\n  SMTP_USERNAME=you@gmail.com\n  SMTP_PASSWORD=an app password\n"
                f"({_DOCS})"
            )
    elif getattr(settings.receivers, receiver) is None:
        line = LINES[receiver]
        raise StackError(
            f"{receiver} is not set. Add this line to .env ({_DOCS}):\n  {line.variable}={line.example}"
        )


def _mail_to(folder: Path, to: str | None) -> tuple[str, ...]:
    if to is not None:
        return (to,)
    if (folder / "sites.yml").exists():
        document = load(folder / "sites.yml", PARTS)
        for people in (default_mail_to(document), *map(site_mail_to, document.sites)):
            if people.down:
                return people.down
    raise StackError(
        "nobody to mail: sites.yml names no email. Say whom: ./sitemedic mail test --to you@example.com"
    )
