"""A real site in a real container, on a server whose sshd lets in to sitemedic-wrapper and nothing else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.docker_engine import IMAGE, DockerEngine
from tests.ports import free_port
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

NAME = "shop"
AFTER = 30
"""Seconds until the site itself is told to be down: as it is where nothing is set."""


@dataclass
class ContainerSite:
    """One container that serves one page; each new one has the name of the last."""

    engine: DockerEngine
    ssh: SshServer
    port: int
    began: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=2).text == "Welcome\n"
        except requests.RequestException:
            return False

    def start(self, *options: str, script: str = "") -> None:
        """Start it; the script runs beside the server, and the container ends with it."""
        serve = f"echo Welcome > /tmp/index.html; httpd -p 127.0.0.1:{self.port} -h /tmp"
        stays = "while :; do sleep 0.2; if [ -e /tmp/eat ]; then rm /tmp/eat; x=$(seq 1 100000000); fi; done"
        self.began = time.time()
        command = ("sh", "-c", script or f"{serve}; {stays}")
        self.engine.docker("run", "-d", "--name", NAME, "--network", "host", *options, IMAGE, *command)

    def remove(self) -> None:
        self.engine.docker("rm", "--force", NAME)

    def restarts(self) -> int:
        """Return how often somebody restarted it, by the engine's own record."""
        return len(self.engine.events(NAME, self.began, "restart"))

    def configuration(self, **remediation: object) -> dict[str, object]:
        """Return a sites.yml for it, as patient with the site as usual."""
        return {
            "defaults": {"interval": "5s", "timeout": "2s", "email": ["ops@acme.example"]},
            "servers": {"web-1": {"ssh": self.ssh.options}},
            "sites": [
                {
                    "name": NAME,
                    "url": self.url,
                    "expect": {"body": "Welcome"},
                    "alert": {"after": f"{AFTER}s"},
                    "recover": {"server": "web-1", "container": NAME},
                }
            ],
            "alerting": {"scrape_interval": "5s", "critical": {"group_wait": "1s", "group_interval": "2s"}},
            "remediation": {
                "cooldown": "1s",
                "stop_timeout": "1s",
                "attempts": 20,
                **remediation,
            },
        }


@contextmanager
def container_site(engine: DockerEngine, folder: Path) -> Iterator[ContainerSite]:
    """Start the server that the site lives on, not the site."""
    wrapped = Wrapped(folder / "wrapper")
    wrapped.allow(f"container {NAME}", "watch *", f"docker_host {engine.host}")
    with running_ssh_server(folder / "ssh") as ssh:
        line = wrapped.line(ssh.key_file.with_suffix(".pub").read_text())
        (ssh.folder / "authorized_keys").write_text(line)
        site = ContainerSite(engine, ssh, free_port())
        site.start()
        until(site.answers, 20, "the site in its container")
        try:
            yield site
        finally:
            engine.clear()
