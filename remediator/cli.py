"""`./sitemedic remediator`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click

from core import VERSION, logs
from core.faults import ConfigError, Fault
from core.flags import config_file, listen_address, log_flags, web_config_file
from core.secrets import Secret, from_environment
from core.servers.schema import PART as SERVERS
from core.sites import Part
from core.web.bearer import password_fault
from core.web.live import LiveWebConfig
from remediator.clients.linode import DEFAULT_URL, LinodeAPI
from remediator.configuration.schema import PART
from remediator.errors import RemediatorError
from remediator.server import serve
from remediator.service import Remediator, Settings
from remediator.store.only_one import only_one
from remediator.store.storage import DEFAULT, once_there
from remediator.store.storage import storage_url as find_storage_url
from remediator.timing import Timing

_TIMINGS = {one.name for one in fields(Timing)}


@click.command("remediator", context_settings={"help_option_names": ["-h", "--help"]})
@config_file("The sites.yml that the exporter reads too.")
@listen_address("127.0.0.1:9096")
@web_config_file
@click.option(
    "--web.external-url", "external_url", help="The console's address in mails; default: PUBLIC_URL."
)
@click.option(
    "--storage.url", "storage_url", show_default=f"STORAGE_URL, or {DEFAULT}",
    help="The database: sqlite:///FILE, or postgresql://HOST/DATABASE.",
)  # fmt: skip
@click.option("--exporter.url", "exporter_url", default="http://127.0.0.1:9115", show_default=True)
@click.option("--alertmanager.url", "alertmanager_url", default="http://127.0.0.1:9093", show_default=True)
@click.option("--linode.api-url", "linode_api_url", default=DEFAULT_URL, show_default=True)
@log_flags
@click.option("--timing", "timings", multiple=True, hidden=True, metavar="NAME=SECONDS")
@click.version_option(VERSION, prog_name="sitemedic remediator")
@click.pass_obj
def remediator_command(
    parts: Sequence[Part] | None,
    /,
    address: tuple[str, int],
    log_level: str,
    log_format: str,
    **given: Any,
) -> None:
    """Heal the sites of a sites.yml when Alertmanager says that they are down.

    Secrets come from the environment: WEBHOOK_TOKEN, API_TOKEN, CONSOLE_PASSWORD and LINODE_TOKEN, and
    STORAGE_URL where it holds a password; or the same with _FILE.
    SIGHUP or POST /-/reload reads sites.yml again; so does any change of it.
    """
    logs.setup(log_level, log_format)
    try:
        settings = _settings(parts or (SERVERS, PART), address, **given)
        with only_one(settings.storage_url):
            serve(once_there(lambda: Remediator(settings), settings.storage_url), *address)
    except (ConfigError, RemediatorError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _settings(
    parts: Sequence[Part],
    address: tuple[str, int],
    *,
    config_file: Path,
    web_config_file: Path | None,
    external_url: str | None,
    storage_url: str | None,
    exporter_url: str,
    alertmanager_url: str,
    linode_api_url: str,
    timings: tuple[str, ...],
) -> Settings:
    """Return what flags and environment say. Raises ConfigError and RemediatorError."""
    secrets, web = _secrets(os.environ), LiveWebConfig(web_config_file)
    ours = _local_url(*address, scheme="https" if web.tls else "http")
    return Settings(
        config_file=config_file,
        parts=parts,
        storage_url=find_storage_url(storage_url, os.environ),
        exporter_url=exporter_url,
        alertmanager_url=alertmanager_url,
        console_url=external_url or os.environ.get("PUBLIC_URL") or ours,
        webhook_token=secrets.webhook_token,
        api_token=secrets.api_token,
        console_password=secrets.console_password,
        linode=LinodeAPI(secrets.linode_token, linode_api_url) if secrets.linode_token else None,
        own_containers=_own_containers(os.environ),
        web=web,
        timing=_timing(timings),
    )


def _local_url(host: str, port: int, scheme: str) -> str:
    return f"{scheme}://{host or 'localhost'}:{port}"


@dataclass(frozen=True)
class _Secrets:
    webhook_token: Secret
    api_token: Secret
    console_password: Secret | None
    linode_token: Secret | None


def _secrets(environ: Mapping[str, str]) -> _Secrets:
    found: dict[str, Secret | None] = {}
    faults: list[Fault] = []
    for name in ("WEBHOOK_TOKEN", "API_TOKEN", "CONSOLE_PASSWORD", "LINODE_TOKEN"):
        try:
            found[name] = from_environment(name, environ)
        except ConfigError as error:
            faults.extend(error.faults)
            continue
        if found[name] is None and name in ("WEBHOOK_TOKEN", "API_TOKEN"):
            mend = f"not set: give it a long random text, or put one in a file and set {name}_FILE"
            faults.append(Fault("environment", name, mend))
    password = found.get("CONSOLE_PASSWORD")
    if password is not None and (fault := password_fault(password)):
        faults.append(Fault("environment", "CONSOLE_PASSWORD", fault))
    webhook_token, api_token = found.get("WEBHOOK_TOKEN"), found.get("API_TOKEN")
    if faults or webhook_token is None or api_token is None:
        raise ConfigError(faults)
    return _Secrets(webhook_token, api_token, password, found.get("LINODE_TOKEN"))


def _own_containers(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names of our own containers, as the compose file tells them."""
    return frozenset(filter(None, environ.get("SITEMEDIC_OWN_CONTAINERS", "").replace(",", " ").split()))


def _timing(given: Sequence[str]) -> Timing:
    values: dict[str, float] = {}
    for one in given:
        name, _, seconds = one.partition("=")
        if name not in _TIMINGS:
            raise click.BadParameter(
                f"{name} is none of {', '.join(sorted(_TIMINGS))}", param_hint="--timing"
            )
        try:
            values[name] = int(seconds) if name == "passes" else float(seconds)
        except ValueError as error:
            raise click.BadParameter(f"{one}: must be NAME=SECONDS", param_hint="--timing") from error
    return replace(Timing(), **values)  # type: ignore[arg-type]
