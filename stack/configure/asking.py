"""The few questions of `init`: what the options do not say is asked for, where there is somebody to ask."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from core.secrets import Secret
from core.servers.options import ServerOptions
from core.sites import Options
from core.sites.tree import NAME_RULE, is_name
from core.sites.validate import validate
from remediator.configuration.options import RecoverOptions
from stack.alerting import MailOptions
from stack.configure.answers import SERVERS, Answers, Healing, Mail, name_of, whole_url
from stack.errors import StackError


@dataclass(frozen=True)
class Given:
    """What the options of the command line say already; None or empty is: not said."""

    url: str | None
    name: str | None
    email: str | None
    smtp: str | None
    smtp_username: str | None
    smtp_password_file: str
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
    name = given.name or (_asked("Name for it", name_of(url), _name_fault) if asks else name_of(url))
    email = given.email if given.email is not None else ""
    if given.email is None and asks:
        email = _asked("Who is mailed when it is down (empty: nobody yet)", "", _email_fault)
    mail = None if mail_is_set else _mail(given, email, asks)
    return Answers(url, name, email, mail, _healing(given, asks), given.canaries)


def _url(given: str | None, asks: bool) -> str:
    if given is not None:
        try:
            return whole_url(given)
        except ValueError as error:  # its text holds no password
            raise StackError(f"the address of the site: {error}") from error
    if not asks:
        raise StackError("which site? ./sitemedic init https://shop.example.com/")
    return whole_url(_asked("Address of the site to watch", "", _url_fault))


def _mail(given: Given, email: str, asks: bool) -> Mail | None:
    choice = given.smtp
    if choice is None:
        if not (asks and email):
            return None
        question = "Mail server: gmail, ses (Amazon), host:port, or none"
        choice = _asked(question, "gmail" if _is_gmail(email) else "none", _server_fault)
    elif fault := _server_fault(choice):
        raise StackError(f"--smtp: {fault}")
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
    if given.smtp_password_file or not username:
        return Mail(host, port, username, sender, password_file=given.smtp_password_file)
    return Mail(host, port, username, sender, _password(choice, asks))


def _password(choice: str, asks: bool) -> Secret:
    """Return the mail server's password: from the environment, else asked for unseen; it may be empty."""
    found = os.environ.get("SMTP_PASSWORD", "")
    if not found and asks:
        hint = " (an app password: Google account → Security → App passwords)" if choice == "gmail" else ""
        found = str(click.prompt(f"  Its password{hint}", hide_input=True, default="", show_default=False))
    if not found.isprintable():
        raise StackError("the mail server's password holds a control character, such as a line's end")
    return Secret("".join(found.split()) if choice == "gmail" else found)  # Google shows it in groups of four


def _host_and_port(text: str) -> tuple[str, str]:
    """Read `host`, `host:port`, `[ipv6]:port` or an IPv6 address."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return text.strip("[]"), "587"
    return host.strip("[]"), port


def _healing(given: Given, asks: bool) -> Healing | None:
    if given.ssh is None and not asks:
        if given.container or given.linode or given.may_reboot:
            raise StackError("--container, --linode and --may-reboot need --ssh user@host")
        return None
    if given.ssh is None:
        asked = "Does it run in a Docker container on another machine that you reach by SSH?"
        if not click.confirm(asked, default=False):
            return None
    ssh = given.ssh or _asked("  That machine, as user@host", "", _ssh_fault)
    container = given.container or (_asked("  The container's name", "", _container_fault) if asks else None)
    if container is None:
        raise StackError("--ssh needs --container: what is restarted?")
    linode, may_reboot = given.linode, given.may_reboot
    if linode is None and asks:
        text = _asked("  Its Linode's id (empty: it is none)", "", _linode_fault)
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


def _url_fault(text: str) -> str:
    try:
        whole_url(text)
    except ValueError as error:
        return str(error)
    return ""


def _name_fault(text: str) -> str:
    return "" if is_name(text) else NAME_RULE


def _email_fault(text: str) -> str:
    return _fault(MailOptions, "email", text) if text else ""


def _server_fault(text: str) -> str:
    if text in ("", "none", *SERVERS):
        return ""
    host, port = _host_and_port(text)
    sound = (
        host and not set(host) & set("/@ ") and port.isascii() and port.isdigit() and 0 < int(port) < 65536
    )
    return "" if sound else "must be gmail, ses, host:port or none"


def _ssh_fault(text: str) -> str:
    return _fault(ServerOptions, "ssh", text)


def _container_fault(text: str) -> str:
    return _fault(RecoverOptions, "container", text) + (
        ": docker ps, on that machine, shows it" if not text else ""
    )


def _linode_fault(text: str) -> str:
    sound = not text or (text.isascii() and text.isdecimal() and int(text) > 0)
    return "" if sound else "must be a number: the Cloud Manager shows it"


def _fault(model: type[Options], key: str, value: Any) -> str:
    """Return what is wrong with one key of sites.yml, as its own rules say it."""
    _, faults = validate(model, {key: value}, "", "")
    return next((fault.message for fault in faults if fault.path.split(".")[0] == key), "")


def _is_gmail(email: str) -> bool:
    return email.lower().endswith(("@gmail.com", "@googlemail.com"))
