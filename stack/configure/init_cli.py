"""`./sitemedic init`: a commented sites.yml and .env out of a few answers."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from core.faults import ConfigError
from core.files import write_whole
from core.sites import load
from exporter.checking.verdict import marks_for, verdicts
from exporter.configuration import BY_PROBER, LONGEST_DEFAULT_TIMEOUT
from exporter.module import BUILT_IN
from exporter.probe import Probers
from exporter.result import Result
from exporter.site_options import prober_of
from exporter.target import instance
from stack.configure.answers import Answers, Healing
from stack.configure.asking import Given, ask
from stack.configure.beginning import env_text, sites_text, variables
from stack.errors import StackError
from stack.flags import folder_option
from stack.parts import PARTS
from stack.settings import load_settings

_FILE = click.Path(path_type=Path)


@click.command("init")
@click.argument("url", required=False)
@click.option("--name", help="The site's name.  [default: from its address]")
@click.option("--email", help="Who is mailed.")
@click.option("--smtp", metavar="HOST[:PORT]", help="The mail server: gmail, ses, its address, or none.")
@click.option("--smtp-username", help="Its user.  [default: --email, for gmail]")
@click.option("--smtp-password-file", type=_FILE, help="A file with its password; else it is asked for.")
@click.option("--smtp-from", help="The address that mails come from.  [default: the user, else --email]")
@click.option("--ssh", metavar="USER@HOST", help="The server that the site runs on, if it may be healed.")
@click.option("--container", help="The site's container there.")
@click.option("--linode", type=click.IntRange(min=1), help="The server's Linode id.")
@click.option("--may-reboot", is_flag=True, help="Allow reboots of that Linode.")
@click.option("--canary", "canaries", multiple=True, metavar="URL", help="What is always up, of others.")
@folder_option("Where to.", shown="the current folder")
@click.option("--yes", is_flag=True, help="Ask nothing: take what the options say.")
@click.option("--force", is_flag=True, help="Replace a sites.yml and a .env that are there.")
def init_command(folder: Path, yes: bool, force: bool, **given: Any) -> None:
    """Write a first sites.yml and .env for the site at URL, and probe the site once.

    It asks a few questions where there is a terminal, and none with --yes or without one. Nothing is
    started and nothing is sent. A .env that is there stays as it is.
    """
    folder = folder.absolute()
    sites_file, env_file = folder / "sites.yml", folder / ".env"
    if sites_file.exists() and not force:
        raise StackError(f"{sites_file} is there already: edit it, or let --force replace it")
    keeps_env = env_file.exists() and not force
    given["smtp_password_file"] = _seen_from(folder, given["smtp_password_file"])
    answers = ask(Given(**given), asks=sys.stdin.isatty() and not yes, mail_is_set=keeps_env)
    text = sites_text(answers)
    _refuse_unsound(text, answers, folder)
    try:
        if not keeps_env:
            write_whole(env_file, env_text(answers), 0o600)
        write_whole(sites_file, text)
    except OSError as error:
        raise StackError(f"cannot write to {folder}: {error.strerror}") from error
    click.echo(
        f"\nWrote {sites_file}" + (f"; {env_file} stays as it is." if keeps_env else f" and {env_file}.")
    )
    click.echo(verdicts([asyncio.run(_probed(answers.url))], marks_for(sys.stdout.encoding)))
    for line in _next_steps(answers, keeps_env):
        click.echo(line)


def _seen_from(folder: Path, file: Path | None) -> str:
    """Return how .env in `folder` names a file that was named from here."""
    if file is None:
        return ""
    place = file.absolute()
    return str(place.relative_to(folder) if place.is_relative_to(folder) else place)


def _refuse_unsound(sites: str, answers: Answers, folder: Path) -> None:
    """Raise StackError with what is wrong with the answers, while nothing is written yet."""
    with tempfile.TemporaryDirectory(prefix="sitemedic-") as trial:
        path = Path(trial) / "sites.yml"
        path.write_text(sites, encoding="utf-8")
        try:
            load(path, PARTS)
            if answers.mail is not None:
                environ = variables(answers.mail)
                if answers.mail.password_file:
                    environ["SMTP_PASSWORD_FILE"] = str(folder / answers.mail.password_file)
                elif answers.mail.lacks_password:
                    environ["SMTP_PASSWORD"] = "not known yet"
                load_settings(environ, Path(trial) / "data")
        except ConfigError as error:
            raise StackError(f"nothing was written, since this is wrong:\n{error}") from error


async def _probed(url: str) -> tuple[str, Result]:
    module = BUILT_IN[BY_PROBER[prober_of(url)]]
    async with Probers.start() as probers:
        return instance(url), await probers.probe(url, module, LONGEST_DEFAULT_TIMEOUT)


def _next_steps(answers: Answers, keeps_env: bool) -> Iterator[str]:
    if answers.healing is not None:
        yield from _on_the_server(answers.healing)
    yield "Next:"
    yield "  ./sitemedic config check   tells what is wrong or unsafe"
    if answers.mail is not None and answers.mail.lacks_password:
        yield "  .env                       write your mail server's password behind SMTP_PASSWORD="
    if answers.mail is not None or keeps_env:
        yield "  ./sitemedic mail test      sends one mail, and says what went wrong"
    else:
        yield "  .env                       SMTP_HOST and its login, for mails; everything else works without"
    yield "  ./sitemedic up             starts everything; Ctrl-C stops it"
    if answers.healing is not None:
        yield "  ./sitemedic doctor         tells whether healing would work"


def _on_the_server(healing: Healing) -> Iterator[str]:
    yield "Healing needs a key, and a server that lets it do what is needed (docs/servers.md):"
    yield "  mkdir -p -m 700 keys && ssh-keygen -q -t ed25519 -N '' -C sitemedic -f keys/id_ed25519"
    yield "  ./sitemedic server setup web   prints what to put there, and what is left to do here"
    if healing.may_reboot:
        yield "  .env: LINODE_TOKEN, with Linodes read/write and Events read only (docs/linode.md)"
    yield ""
