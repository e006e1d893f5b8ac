"""`python -m demo`: one subcommand for each part of the demo, each until SIGTERM or Ctrl-C."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from aiohttp import web

from core import logs
from core.faults import ConfigError
from core.logs import fields
from core.secrets import Secret, from_environment, read_secret_file
from demo import control as machine_control
from demo import linode_api, mailbox_web
from demo.app.serve import DATABASE, serve
from demo.configuration import LINODE, SERVER
from demo.linode_state import Account
from demo.machine import BOOT_SECONDS, SLOW_SECONDS, Machine, MachineError, MachineSettings
from demo.mailbox import Mailbox, make_smtp

log = logging.getLogger("demo")

_PORT = click.IntRange(1, 65535)
_FILE = click.Path(dir_okay=False, path_type=Path)


class StartError(Exception):
    """A part cannot start; the message says what to do."""


@click.group(help=__doc__)
@click.option("--log.level", "level", type=click.Choice(logs.LEVELS), default="info", show_default=True)
@click.option("--log.format", "fmt", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True)
def main(level: str, fmt: str) -> None:
    """Set the logs up for the subcommand."""
    logs.setup(level, fmt)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # warns of AUTH without TLS at every connection


@main.command("machine")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--ssh-port", type=_PORT, required=True)
@click.option("--site-port", type=_PORT, required=True)
@click.option("--control-port", type=_PORT, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--known-as", default="127.0.0.1", show_default=True, help="Name that others reach it by.")
@click.option("--boot-seconds", type=click.FloatRange(0), default=BOOT_SECONDS, show_default=True)
@click.option("--slow-seconds", type=click.FloatRange(0.001), default=SLOW_SECONDS, show_default=True)
@click.option("--group-reads-key", is_flag=True, help="Let others of the group log in to it with its key.")
def machine_command(**options: Any) -> None:
    """Run the server: a real sshd, and the website as its one container."""
    settings = MachineSettings(**{**options, "folder": options["folder"].absolute()})
    _run(lambda: _machine(settings))


@main.command("linode")
@click.option("--port", type=_PORT, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--linode", "linode_id", type=int, default=LINODE, show_default=True, help="The server's id.")
@click.option("--api-token-file", type=_FILE, help="The token to be asked with; else LINODE_TOKEN[_FILE].")
@click.option("--control", required=True, metavar="URL", help="The control of the demo's server.")
@click.option("--token-file", type=_FILE, required=True, help="The token of that control.")
def linode_command(
    port: int, host: str, linode_id: int, api_token_file: Path | None, control: str, token_file: Path
) -> None:
    """Run the fake Linode API, which can reboot the server."""
    try:
        given = from_environment("LINODE_TOKEN", os.environ)
        api_token = read_secret_file(api_token_file) if api_token_file else given
        if api_token is None:
            _fail("the API needs a token: give --api-token-file, or set LINODE_TOKEN or LINODE_TOKEN_FILE")
        control_token = read_secret_file(token_file)
        account = Account({linode_id: SERVER}, linode_api.machine_power(control, control_token))
        app = linode_api.create_app(account, {api_token.reveal(): linode_api.SCOPES}, control_token)
        linode_api.serve(app, host, port)
    except ConfigError as error:
        _fail(str(error))
    except OSError as error:
        _fail(str(_taken(host, port, error)))


@main.command("mailbox")
@click.option("--smtp-port", type=_PORT, required=True)
@click.option("--http-port", type=_PORT, required=True)
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--username", help="Take mails after AUTH only; password: MAILBOX_PASSWORD[_FILE].")
def mailbox_command(smtp_port: int, http_port: int, folder: Path, host: str, username: str | None) -> None:
    """Run the mailbox: SMTP in, a page and /api/mails out."""
    try:
        password = from_environment("MAILBOX_PASSWORD", os.environ)
    except ConfigError as error:
        _fail(str(error))
    if username is not None and password is None:
        _fail("--username needs a password: set MAILBOX_PASSWORD or MAILBOX_PASSWORD_FILE")
    _run(lambda: _mailbox(host, smtp_port, http_port, folder.absolute(), username, password))


@main.command("app", help=f"Run the website alone. Its database: {DATABASE}[_FILE], else shop.db here.")
@click.option("--port", type=_PORT, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def app_command(port: int, host: str) -> None:
    """Run the website alone; faults come in through its standard input."""
    sys.exit(serve(host, port, os.environ))


async def _machine(settings: MachineSettings) -> None:
    machine = Machine(settings)
    machine.prepare()
    async with _served(machine_control.make_app(machine), settings.host, settings.control_port):
        try:
            await machine.start()
            log.info("machine is up", extra=fields(ssh=settings.ssh_port, site=settings.site_port))
            await _until_stopped()
        finally:
            await machine.close()


async def _mailbox(
    host: str, smtp_port: int, http_port: int, folder: Path, username: str | None, password: Secret | None
) -> None:
    mailbox = Mailbox(folder)
    mailbox.open()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: make_smtp(mailbox, username, password), host, smtp_port)
    except OSError as error:
        raise _taken(host, smtp_port, error) from error
    async with server, _served(mailbox_web.make_app(mailbox), host, http_port):
        log.info("mailbox is up", extra=fields(smtp=smtp_port, http=http_port))
        await _until_stopped()


@asynccontextmanager
async def _served(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise _taken(host, port, error) from error
        yield
    finally:
        await runner.cleanup()


def _taken(host: str, port: int, error: OSError) -> StartError:
    reason = os.strerror(error.errno or 0)
    return StartError(f"cannot listen on {host}:{port} ({reason}): choose another port")


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def _run(part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.run(part())
    except (StartError, MachineError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)
