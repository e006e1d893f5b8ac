"""The demo's parts as services: the server that can be broken, the fake Linode API, the mailbox."""

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from core.faults import ConfigError
from core.secrets import read_secret_file
from demo.configuration import LINODE, DemoPlaces, sites_yml
from stack.home import Home
from stack.loopback import answers, listens
from stack.ports import Port
from stack.receivers import VARIABLES
from stack.services import python_environment, without_secrets
from stack.settings import kept_token
from stack.supervise import Service

PROGRAMS = ("sshd", "ssh-keygen")
_PATIENCE = 60.0  # the site is an application of some size, on a machine that starts everything at once
_STATE = ("prometheus", "alertmanager", "rendered", "mailbox")
# What a user's .env says of the real world has no place in the demo.
_REAL = (
    *("SMTP_", "LINODE_", "WEBHOOK_TOKEN", "API_TOKEN", "CONSOLE_PASSWORD", "PUBLIC_URL"),
    *VARIABLES,
)


@dataclass(frozen=True)
class DemoPorts:
    """The demo's own ports, each changed by DEMO_NAME_PORT in .env."""

    site: int = 9180
    ssh: int = 9122
    control: int = 9181
    linode: int = 9182
    mailbox: int = 9183
    smtp: int = 9125

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "DemoPorts":
        """Read them from the environment. Raises ConfigError."""
        given = {}
        for name in (field.name for field in fields(cls)):
            text = environ.get(_setting(name), "").strip()
            if not text:
                continue
            if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
                raise ConfigError.single(
                    ".env", _setting(name), f"must be a port from 1 to 65535 (got {text!r})"
                )
            given[name] = int(text)
        return cls(**given)

    def ports(self) -> tuple[Port, ...]:
        """Return them as the ports that are listened on."""
        return tuple(
            Port(getattr(self, field.name), f"the demo's {field.name}", _setting(field.name))
            for field in fields(self)
        )


def begin_afresh(home: Home) -> None:
    """Remove what an earlier demo left: each begins with a healthy site and no history."""
    for name in _STATE:
        shutil.rmtree(home.data / name, ignore_errors=True)
    for file in (*home.data.glob("remediator.db*"), home.run_file, home.sites_file):
        file.unlink(missing_ok=True)


def adapted(home: Home, ports: DemoPorts, environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the demo's mailbox and Linode API in the place of any real ones."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_REAL)}
    return kept | {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(ports.smtp),
        "SMTP_TLS": "none",
        "SMTP_FROM": "Sitemedic <sitemedic@demo.example>",
        "LINODE_API_URL": f"{_url(ports.linode)}/v4",
        "LINODE_TOKEN_FILE": str(_linode_token(home)),
    }


def urls(ports: DemoPorts) -> dict[str, str]:
    """Return where the demo's parts are seen."""
    return {name: _url(getattr(ports, name)) for name in ("site", "control", "linode", "mailbox")}


def control_token(home: Home) -> Path:
    """Return the file with the token that the demo's server takes its faults with."""
    return home.data / "machine" / "control.token"


def demo_parts(home: Home, ports: DemoPorts) -> tuple[Service, ...]:
    """Return the demo's services in the order of their start."""
    part = partial(_part, home)
    kept_token(_linode_token(home))
    return (
        part(
            "machine",
            (
                f"--dir={home.data / 'machine'}",
                f"--ssh-port={ports.ssh}",
                f"--site-port={ports.site}",
                f"--control-port={ports.control}",
            ),
            lambda: (
                answers(f"{_url(ports.control)}/-/healthy") and listens(ports.site) and listens(ports.ssh)
            ),
            f"{_url(ports.site)}  (the site, on its server)",
        ),
        part(
            "linode",
            (
                f"--port={ports.linode}",
                f"--control={_url(ports.control)}",
                f"--token-file={control_token(home)}",
                f"--api-token-file={_linode_token(home)}",
            ),
            lambda: listens(ports.linode),
            f"{_url(ports.linode)}  (a fake Linode API)",
        ),
        part(
            "mailbox",
            (f"--dir={home.data / 'mailbox'}", f"--smtp-port={ports.smtp}", f"--http-port={ports.mailbox}"),
            lambda: answers(f"{_url(ports.mailbox)}/-/healthy"),
            f"{_url(ports.mailbox)}  (all mails)",
        ),
    )


def write_sites(home: Home, ports: DemoPorts) -> None:
    """Write the demo's sites.yml: where its server is, it says itself. Raises OSError."""
    ssh = _machine_state(home, ports)["ssh"]
    places = DemoPlaces(
        site_url=f"{_url(ports.site)}/",
        ssh_host=ssh["host"],
        ssh_port=ssh["port"],
        ssh_user=ssh["user"],
        key_file=Path(ssh["key_file"]),
        known_hosts_file=Path(ssh["known_hosts_file"]),
        linode=LINODE,
        canaries=(f"{_url(ports.mailbox)}/-/healthy", f"tcp://127.0.0.1:{ports.linode}"),
    )
    home.sites_file.write_text(sites_yml(places), encoding="utf-8")


def _part(
    home: Home,
    name: str,
    words: tuple[str, ...],
    healthy: Callable[[], bool],
    address: str,
) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-m", "demo", name, *words),
        env=python_environment(without_secrets(os.environ)),
        cwd=home.root,
        log=home.log(name),
        healthy=healthy,
        address=address,
        patience=_PATIENCE,
    )


def _machine_state(home: Home, ports: DemoPorts) -> Any:
    token = read_secret_file(control_token(home)).reveal()
    request = urllib.request.Request(
        f"{_url(ports.control)}/state", headers={"Authorization": f"Bearer {token}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=5) as answer:
        return json.load(answer)


def _linode_token(home: Home) -> Path:
    return home.data / "secrets" / "linode_token"


def _setting(name: str) -> str:
    return f"DEMO_{name.upper()}_PORT"


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
