"""`./sitemedic exporter`."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from core import VERSION, logs
from core.faults import ConfigError
from core.flags import config_file, listen_addresses, log_flags, web_config_file
from core.sites import Part
from exporter.configuration import read
from exporter.health import Health
from exporter.history import DEFAULT_LIMIT
from exporter.listening import StartError
from exporter.reload import POLL_EVERY
from exporter.schema import PART
from exporter.server import Settings, run
from exporter.web.places import Places, places
from exporter.web.security import Security

_DEFAULT_FILES = (Path("sites.yml"), Path("blackbox.yml"))


@click.command("exporter", context_settings={"help_option_names": ["-h", "--help"]})
@config_file(
    "A sites.yml, or a blackbox.yml (then only /probe serves).  "
    "[default: sites.yml, or blackbox.yml where there is only that]",
    None,
)
@click.option(
    "--config.check", "check", is_flag=True, help="Say whether the configuration can be used, and end.",
)  # fmt: skip
@click.option(
    "--config.enable-auto-reload/--no-config.enable-auto-reload", "follow", default=True, show_default=True,
    help="Read the configuration again when a file of it changed.",
)  # fmt: skip
@click.option(
    "--config.auto-reload-interval", "poll_every", type=click.FloatRange(min=0.1), default=POLL_EVERY,
    show_default=True, help="Seconds between two looks at these files.",
)  # fmt: skip
@listen_addresses("127.0.0.1:9115; with a blackbox.yml :9115, as blackbox_exporter")
@click.option(
    "--web.systemd-socket", "systemd_socket", is_flag=True,
    help="Listen on the sockets that systemd hands over instead.",
)  # fmt: skip
@web_config_file
@click.option(
    "--web.external-url", "external_url",
    help="The URL under which people reach the exporter behind a proxy; its path comes before every address.",
)  # fmt: skip
@click.option(
    "--web.route-prefix", "route_prefix",
    help="What comes before every address.  [default: the path of --web.external-url]",
)  # fmt: skip
@click.option(
    "--timeout-offset", type=click.FloatRange(min=0), default=0.5, show_default=True,
    help="Seconds to subtract from the timeout that Prometheus tells /probe.",
)  # fmt: skip
@click.option(
    "--history.limit", "history_limit", type=click.IntRange(min=0, max=100_000), default=DEFAULT_LIMIT,
    show_default=True, help="Probes that the page keeps, and as many failed ones beyond these.",
)  # fmt: skip
@click.option(
    "--log.prober", "probe_log_level", type=click.Choice(logs.LEVELS), default="debug", show_default=True,
    help="The level at which the steps of probes on demand are logged.",
)  # fmt: skip
@click.option(
    "--results.file", "results_file", type=click.Path(path_type=Path, dir_okay=False),
    help="Append one JSON line per scheduled probe to this file.",
)  # fmt: skip
@click.option(
    "--storage.path", "storage_path", type=click.Path(path_type=Path, file_okay=False),
    help="Keep what must survive a restart (heartbeats) in this folder.  "
    "[default: data/exporter beside the configuration]",
)  # fmt: skip
@log_flags
@click.version_option(VERSION, prog_name="sitemedic exporter")
@click.pass_obj
def exporter_command(
    parts: Sequence[Part] | None,
    /,
    config_file: Path | None,
    check: bool,
    external_url: str | None,
    route_prefix: str | None,
    probe_log_level: str,
    log_level: str,
    log_format: str,
    **flags: Any,
) -> None:
    """Probe the sites of a sites.yml and publish what they answer.

    Takes blackbox_exporter's place with its blackbox.yml and its flags. SIGHUP or POST /-/reload reads the
    file again; so does any change of it.
    """
    logs.setup(log_level, log_format)
    settings = Settings(
        config_file or next((path for path in _DEFAULT_FILES if path.exists()), _DEFAULT_FILES[0]),
        places=_places(external_url, route_prefix),
        probe_log_level=logging.getLevelName(probe_log_level.upper()),
        **flags,
    )
    try:
        if check:
            _check(settings, parts or (PART,))
        else:
            run(settings, parts or (PART,))
    except (ConfigError, StartError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _places(external_url: str | None, route_prefix: str | None) -> Places:
    try:
        return places(external_url, route_prefix)
    except ValueError as error:
        raise click.UsageError(f"--web.external-url, --web.route-prefix: {error}") from error


def _check(settings: Settings, parts: Sequence[Part]) -> None:
    """Read what a start would read. Raises ConfigError."""
    configuration = read(settings.config_file, parts)
    if settings.web_config_file:
        Security(settings.web_config_file, Health())
    click.echo(f"{settings.config_file} can be used: {len(configuration.sites)} sites, "
               f"{len(configuration.modules)} modules")  # fmt: skip
