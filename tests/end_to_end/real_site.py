"""A real site: busybox's httpd in a real container, on a server that a real sshd lets into."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.docker_engine import DockerEngine
from tests.ports import free_port
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

NAME = "shop"
MARKER = "Welcome"


@dataclass
class RealSite:
    """One container that serves one page."""

    engine: DockerEngine
    ssh: SshServer
    port: int
    began: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answers(self) -> bool:
        return MARKER in requests.get(self.url, timeout=2).text

    def kill(self) -> None:
        """Kill the container as an out-of-memory killer would."""
        self.engine.docker("kill", NAME)

    def spoil(self) -> None:
        """Let it answer without its content until it is started anew."""
        self.engine.docker("exec", NAME, "sh", "-c", "echo sold out > /tmp/index.html")
        until(lambda: not self.answers(), 5, "the content to be gone")

    def starts(self) -> int:
        """Return how often the engine started the container, by its own record."""
        return len(self.engine.events(NAME, self.began, "start"))

    def configuration(self, **remediation: object) -> dict[str, object]:
        """Return a quick sites.yml for it."""
        return {
            "defaults": {"interval": "1s", "timeout": "800ms", "email": ["ops@acme.example"]},
            # Not its container's alert: the site's own is what is on trial.
            "servers": {"web-1": {"ssh": self.ssh.options, "containers": "off"}},
            "sites": [
                {
                    "name": NAME,
                    "url": self.url,
                    "expect": {"body": MARKER},
                    "alert": {"after": "2s"},
                    "recover": {"server": "web-1", "container": NAME},
                }
            ],
            "alerting": {"scrape_interval": "1s", "critical": {"group_wait": "1s", "group_interval": "2s"}},
            "remediation": {"cooldown": "1s", "prove_within": "20s", "stop_timeout": "1s", **remediation},
        }


@contextmanager
def real_site(engine: DockerEngine, folder: Path, *, ignores_term: bool = False) -> Iterator[RealSite]:
    """Start the site; with `ignores_term` its stop takes the whole stop timeout."""
    port = free_port()
    trap = 'trap "" TERM; ' if ignores_term else 'trap "exit 0" TERM; '
    script = f"echo {MARKER} > /tmp/index.html; {trap}httpd -f -p 127.0.0.1:{port} -h /tmp & wait; sleep 1000"
    with running_ssh_server(folder / "ssh", engine.environment) as ssh:
        began = time.time()
        command = ["sh", "-c", script if ignores_term else script.removesuffix("; sleep 1000")]
        engine.docker("run", "-d", "--name", NAME, "--network", "host", "sitemedic-test:busybox", *command)
        site = RealSite(engine, ssh, port, began)
        try:
            until(site.answers, 15, "the real site")
            yield site
        finally:
            engine.clear()
