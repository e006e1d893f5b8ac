"""The services of a stack as data: what is started, with which words, and how one sees it healthy."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from stack.home import Home
from stack.loopback import answers
from stack.ports import Port
from stack.programs import find_program
from stack.receivers import VARIABLES
from stack.settings import Settings
from stack.supervise import Service

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("prometheus", "promtool", "alertmanager", "amtool")
RETENTION = "35d"  # so that an uptime over 30 days is true
_MADE = ("WEBHOOK_TOKEN", "API_TOKEN", "CONSOLE_PASSWORD")  # where .env does not set them
_TOKENS = (*_MADE, "LINODE_TOKEN")
_SECRETS = (*_TOKENS, "STORAGE_URL", "SMTP_PASSWORD", "GRAFANA_ADMIN_PASSWORD", *VARIABLES)
_STORAGE = ("STORAGE_URL", "STORAGE_URL_FILE")
# What it takes of .env. The others take nothing of it: a changed password must not start them again.
_FOR_THE_REMEDIATOR = (
    *(word for name in _TOKENS for word in (name, f"{name}_FILE")),
    "PUBLIC_URL",
    "SITEMEDIC_OWN_CONTAINERS",
)


def ports(settings: Settings) -> tuple[Port, ...]:
    """Return the ports that a stack listens on."""
    return tuple(
        Port(endpoint.port, name, f"{name.upper()}_PORT")
        for name, endpoint in (
            ("exporter", settings.exporter),
            ("remediator", settings.remediator),
            ("alertmanager", settings.alertmanager),
            ("prometheus", settings.prometheus),
        )
    )


def services(home: Home, settings: Settings, environ: Mapping[str, str]) -> tuple[Service, ...]:
    """Return the services in the order of their start."""
    return (
        _exporter(home, settings),
        _remediator(home, settings, environ),
        _alertmanager(home, settings),
        _prometheus(home, settings),
    )


def python_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` so that our own packages are found, and none of the caller's folder."""
    return {**environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without the secrets of it, for services that have no business with them."""
    hidden = {word for name in _SECRETS for word in (name, f"{name}_FILE")}
    return {name: value for name, value in environ.items() if name not in hidden}


def _exporter(home: Home, settings: Settings) -> Service:
    address = settings.exporter
    return Service(
        name="exporter",
        argv=(
            *(sys.executable, "-m", "stack", "exporter"),
            f"--config.file={home.sites_file}",
            f"--web.listen-address={address.address}",
            f"--storage.path={home.data / 'exporter'}",
        ),
        env=python_environment(without_secrets(os.environ)),
        cwd=home.root,
        log=home.log("exporter"),
        healthy=_ready(address.url),
        address=address.url,
    )


def _remediator(home: Home, settings: Settings, environ: Mapping[str, str]) -> Service:
    address = settings.remediator
    ours = f"sqlite:///{home.data / 'remediator.db'}"
    return Service(
        name="remediator",
        argv=(
            *(sys.executable, "-m", "stack", "remediator"),
            f"--config.file={home.sites_file}",
            f"--web.listen-address={settings.console.listen}:{address.port}",
            *(() if _own_database(home, environ) else (f"--storage.url={ours}",)),
            *([f"--web.config.file={web}"] if (web := settings.console.web_config) else ()),
            f"--exporter.url={settings.exporter.url}",
            f"--alertmanager.url={settings.alertmanager.url}",
            *([f"--linode.api-url={linode}"] if (linode := environ.get("LINODE_API_URL")) else ()),
        ),
        env=python_environment(_remediator_environment(home, environ)),
        cwd=home.root,
        log=home.log("remediator"),
        healthy=_ready(address.url),
        address=address.url,
        stops_within=20.0,
    )


def _own_database(home: Home, environ: Mapping[str, str]) -> bool:
    """Tell whether .env names another database than data/remediator.db; the demo keeps to itself."""
    return not home.demo and any(environ.get(name) for name in _STORAGE)


def _remediator_environment(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """Return its environment, with the tokens that are not set named by their files."""
    given = without_secrets(os.environ)
    given |= {name: environ[name] for name in _FOR_THE_REMEDIATOR if environ.get(name)}
    if _own_database(home, environ):
        given |= {name: environ[name] for name in _STORAGE if environ.get(name)}
    for name in _MADE:
        if name not in given and f"{name}_FILE" not in given:
            given[f"{name}_FILE"] = str(home.data / "secrets" / name.lower())
    return given


def _alertmanager(home: Home, settings: Settings) -> Service:
    address = settings.alertmanager
    return Service(
        name="alertmanager",
        argv=(
            _program("alertmanager"),
            f"--config.file={home.rendered / 'alertmanager/alertmanager.yml'}",
            f"--storage.path={home.data / 'alertmanager'}",
            f"--web.listen-address={address.address}",
            f"--web.external-url={address.url}",
            # What was mailed is written down this often: a killed Alertmanager must still mail the recovery.
            "--data.maintenance-interval=1m",
            "--cluster.listen-address=",  # one instance: nothing to gossip with
        ),
        env=without_secrets(os.environ),
        cwd=home.root,
        log=home.log("alertmanager"),
        healthy=_ready(address.url),
        address=address.url,
        masked=home.rendered / "alertmanager" / "secrets",
    )


def _prometheus(home: Home, settings: Settings) -> Service:
    address = settings.prometheus
    return Service(
        name="prometheus",
        argv=(
            _program("prometheus"),
            f"--config.file={home.rendered / 'prometheus/prometheus.yml'}",
            f"--storage.tsdb.path={home.data / 'prometheus'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={address.address}",
            f"--web.external-url={address.url}",
        ),
        env=without_secrets(os.environ),
        cwd=home.root,
        log=home.log("prometheus"),
        healthy=_ready(address.url),
        address=address.url,
        patience=120.0,  # a long write-ahead log takes its time
        stops_within=30.0,
    )


def _ready(url: str) -> Callable[[], bool]:
    return partial(answers, f"{url}/-/ready")


def _program(name: str) -> str:
    """Return the program's path; its bare name where it is missing, which its start then tells."""
    return str(find_program(name) or name)
