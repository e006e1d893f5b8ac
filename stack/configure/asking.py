"""The few questions of `init`: what the options do not say is asked for, where there is somebody to ask."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from core.secrets import Secret
from stack.configure.answers import CANARIES, SERVERS, Answers, Healing, Mail, name_of, whole_url
from stack.errors import StackError

_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


@dataclass(frozen=True)
class Given:
    """What the options of the command line say already; None or empty is: not said."""

    url: str | None
    name: str | None
    email: str | None
    smtp: str | None
    smtp_username: str | None
    smtp_password_file: Path | None
    smtp_from: str | None
    ssh: str | None
    container: str | None
    linode: int | None
    may_reboot: bool
    canaries: tuple[str, ...]


def ask(given: Given, *, asks: bool, mail_is_set: bool) -> Answers:
    """Return the answers; nothing is asked unless `asks`. Raises StackError, saying which option is needed.

    `mail_is_set`: a .env is there and stays, so nothing of it is asked.
    """
    url = _url(given.url, asks)
    name = given.name or (_asked("Name for it", name_of(url)) if asks else name_of(url))
    email = given.email if given.email is not None else ""
    if given.email is None and asks:
        email = _asked("Who is mailed when it is down (empty: nobody yet)", "", _is_address)
    mail = None if mail_is_set else _mail(given, email, asks)
    healing = _healing(given, asks)
    return Answers(url, name, email, mail, healing, given.canaries or CANARIES)


def _url(given: str | None, asks: bool) -> str:
    if given is None and not asks:
        raise StackError("which site? ./sitemedic init https://shop.example.com/")
    while True:
        text = given or _asked("Address of the site to watch", "")
        try:
            return whole_url(text)
        except ValueError as error:
            if given or not asks:
                raise StackError(f"{text}: {error}") from error
            click.echo(f"  {text}: {error}")


def _mail(given: Given, email: str, asks: bool) -> Mail | None:
    choice = given.smtp
    if choice is None:
        if not (asks and email):
            return None
        choice = _asked(
            "Mail server: gmail, ses, host:port, or none", "gmail" if _is_gmail(email) else "none"
        )
    if choice in ("", "none"):
        return None
    host, port = SERVERS.get(choice) or _host_and_port(choice)
    username = given.smtp_username
    if username is None:
        guess = email if choice == "gmail" else ""
        username = _asked("  Its user (empty: no login)", guess) if asks else guess
    sender = given.smtp_from or (username if "@" in username else email)
    if not sender:
        raise StackError("--smtp-from: which address do mails come from?")
    if given.smtp_password_file is not None or not username:
        return Mail(host, port, username, sender, password_file=str(given.smtp_password_file or ""))
    return Mail(host, port, username, sender, _password(choice, asks))


def _password(choice: str, asks: bool) -> Secret:
    """Return the mail server's password: from the environment, else asked for unseen."""
    found = os.environ.get("SMTP_PASSWORD", "")
    if not found and asks:
        hint = " (an app password: Google account → Security → App passwords)" if choice == "gmail" else ""
        found = str(click.prompt(f"  Its password{hint}", hide_input=True, default="", show_default=False))
    return Secret("".join(found.split()) if choice == "gmail" else found)  # Google shows it in groups of four


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, "587"
    if not port.isdigit():
        raise StackError(f"--smtp: must be gmail, ses or host:port (got {text!r})")
    return host, port


def _healing(given: Given, asks: bool) -> Healing | None:
    if given.ssh is None and not asks:
        if given.container or given.linode or given.may_reboot:
            raise StackError("--container, --linode and --may-reboot need --ssh user@host")
        return None
    if given.ssh is None:
        asked = "Does it run in a Docker container on another machine that you reach by SSH?"
        if not click.confirm(asked, default=False):
            return None
    ssh = given.ssh or _asked(
        "  That machine, as user@host", "", lambda text: "" if text else "user@host, please"
    )
    container = given.container or (_asked("  The container's name", "", _is_given) if asks else None)
    if container is None:
        raise StackError("--ssh needs --container: what is restarted?")
    linode, may_reboot = given.linode, given.may_reboot
    if linode is None and asks:
        text = _asked("  Its Linode's id (empty: it is none)", "", _is_number)
        linode = int(text) if text else None
    if linode is not None and not may_reboot and asks:
        may_reboot = click.confirm("  May that Linode be rebooted when it does not answer?", default=False)
    return Healing(ssh, container, linode, may_reboot)


def _asked(question: str, default: str, fault: Callable[[str], str] = lambda _: "") -> str:
    """Ask until the answer has no fault."""
    while True:
        answer = str(click.prompt(question, default=default, show_default=bool(default))).strip()
        if not (wrong := fault(answer)):
            return answer
        click.echo(f"  {wrong}")


def _is_address(text: str) -> str:
    return "" if not text or _ADDRESS.fullmatch(text) else f"{text!r} is no mail address"


def _is_login(text: str) -> str:
    return "" if text else "such as medic@203.0.113.7"


def _is_given(text: str) -> str:
    return "" if text else "docker ps, on that machine, shows it"


def _is_number(text: str) -> str:
    return "" if text.isdecimal() or not text else "a number: the Cloud Manager shows it"


def _is_gmail(email: str) -> bool:
    return email.lower().endswith(("@gmail.com", "@googlemail.com"))
