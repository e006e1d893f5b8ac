"""The flags that several commands have, in Prometheus's form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from core import logs
from core.faults import quoted

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class ListenAddress(click.ParamType[tuple[str, int]]):
    """`host:port`, `[::1]:port` or `:port`, as Prometheus's programs take it."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return host (empty: all) and port."""
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
            self.fail(f"must be host:port, such as 127.0.0.1:9115 (got {quoted(value)})", param, ctx)
        return host.strip("[]"), int(port)


def config_file(use: str, default: Path | None = Path("sites.yml"), *, shown: str | None = None) -> Decorator:
    """Make `--config.file`, handed on as `config_file`; `use` says for what it is read."""
    return click.option(
        "--config.file",
        "config_file",
        type=click.Path(path_type=Path),
        default=default,
        show_default=shown or True,
        help=use,
    )


def listen_address(default: str) -> Decorator:
    """Make `--web.listen-address`, handed on as `address`: host and port."""
    return click.option(
        "--web.listen-address",
        "address",
        type=ListenAddress(),
        default=default,
        show_default=True,
        help="Where to listen.",
    )


def listen_addresses(default: str) -> Decorator:
    """Make `--web.listen-address` that may be given several times, handed on as `addresses`."""
    return click.option(
        "--web.listen-address",
        "addresses",
        type=ListenAddress(),
        multiple=True,
        help=f"Where to listen; may be given several times.  [default: {default}]",
    )


def web_config_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--web.config.file`, handed on as `web_config_file`."""
    flag = click.option(
        "--web.config.file",
        "web_config_file",
        type=click.Path(path_type=Path),
        help="A web-config.yml of Prometheus's exporter-toolkit: TLS and passwords.",
    )
    return flag(command)


def log_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--log.level` and `--log.format`, handed on as `log_level` and `log_format`."""
    level = click.option(
        "--log.level", "log_level", type=click.Choice(logs.LEVELS), default="info", show_default=True
    )
    fmt = click.option(
        "--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True
    )
    return level(fmt(command))
