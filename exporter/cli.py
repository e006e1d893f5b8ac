"""`./sitemedic exporter`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from core import VERSION, logs
from core.faults import ConfigError
from core.flags import listen_address, log_flags
from core.sites import Part
from exporter.schema import PART
from exporter.server import Settings, StartError, run


@click.command("exporter", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config.file", "config_file", type=click.Path(path_type=Path), default="sites.yml", show_default=True,
    help="A sites.yml, or a blackbox.yml (then only /probe serves).",
)  # fmt: skip
@listen_address("127.0.0.1:9115")
@click.option(
    "--timeout-offset", type=click.FloatRange(min=0), default=0.5, show_default=True,
    help="Seconds to subtract from the timeout that Prometheus tells /probe.",
)  # fmt: skip
@click.option(
    "--results.file", "results_file", type=click.Path(path_type=Path, dir_okay=False),
    help="Append one JSON line per scheduled probe to this file.",
)  # fmt: skip
@log_flags
@click.version_option(VERSION, prog_name="sitemedic exporter")
@click.pass_obj
def exporter_command(
    parts: Sequence[Part] | None,
    config_file: Path,
    address: tuple[str, int],
    timeout_offset: float,
    results_file: Path | None,
    log_level: str,
    log_format: str,
) -> None:
    """Probe the sites of a sites.yml and publish what they answer.

    SIGHUP or POST /-/reload reads the file again; so does any change of it.
    """
    logs.setup(log_level, log_format)
    settings = Settings(config_file, address[0], address[1], timeout_offset, results_file)
    try:
        run(settings, parts or (PART,))
    except (ConfigError, StartError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
