"""Sites in containers on three servers, and all of Sitemedic: one stack for many faults at once."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.docker_engine import IMAGE, DockerEngine, engine_folder, started_engine
from tests.end_to_end.stack import Up, up
from tests.ports import free_port
from tests.remediator.wrapped import Wrapped
from tests.smtp_server import Mail, Mailbox, smtp_server
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

PATIENT = 180
"""Seconds. Some rules wait for a minute, and the machine may be busy."""
CALM = 6
"""Sites that are always well: what is broken here is never so much that nothing may be touched."""
STAYS = "while :; do sleep 0.2; done"


@dataclass
class Engine:
    """An engine that keeps its place and its containers when it is stopped and started."""

    folder: Path
    place: Path
    running: ExitStack = field(default_factory=ExitStack)
    docker: DockerEngine | None = None

    @property
    def restarted(self) -> list[str]:
        """Return the names of the containers that somebody, not Docker itself, has restarted so far.

        It is written down as it happens: an engine remembers 256 events, and each health check is three.
        """
        return (self.folder / "restarted").read_text().split()

    def start(self) -> DockerEngine:
        """Start it, also anew."""
        self.docker = self.running.enter_context(started_engine(self.folder, own_network=False))
        self.running.enter_context(self._written_down(self.docker))
        fresh = self.place.with_suffix(".new")
        fresh.symlink_to(self.docker.folder / "docker.sock")
        fresh.replace(self.place)
        return self.docker

    def stop(self) -> None:
        """Stop it in order, and its containers with it."""
        self.running.close()
        self.docker = None

    @contextmanager
    def _written_down(self, docker: DockerEngine) -> Iterator[None]:
        wanted = ("--filter", "event=restart", "--format", "{{.Actor.Attributes.name}}")
        with (self.folder / "restarted").open("ab") as told:
            command = ["docker", "--host", docker.host, "events", "--since", "1", *wanted]
            process = subprocess.Popen(command, stdout=told, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Home:
    """Where a site lives: its server, what its container is started with, and the script beside its page.

    A server with `own_engine` shares its engine with no other.
    """

    server: str
    options: tuple[str, ...] = ()
    script: str = STAYS
    own_engine: bool = False


@dataclass
class Server:
    """A server: its engine, and an sshd that lets in to the wrapper and nothing else."""

    engine: Engine
    ssh: SshServer


@dataclass
class ContainerSite:
    """A site, and the container of the same name that it lives in."""

    name: str
    engine: Engine
    port: int

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self, *options: str, then: str = STAYS) -> None:
        """Start the container: it serves its page, and ends with the script that runs beside."""
        serve = f"echo Welcome > /tmp/index.html; httpd -p 127.0.0.1:{self.port} -h /tmp"
        script = f'trap "exit 0" TERM; {serve}; {then}'
        self.docker(
            *("run", "-d", "--name", self.name, "--network", "host", *options, IMAGE, "sh", "-c", script)
        )
        until(self.answers, 30, f"{self.name} in its container")

    def answers(self) -> bool:
        """Tell whether it serves its page."""
        return requests.get(self.url, timeout=2).text == "Welcome\n"

    def docker(self, *words: str) -> str:
        """Run a docker command on its engine."""
        assert self.engine.docker is not None
        return self.engine.docker.docker(*words)

    def sh(self, script: str) -> None:
        """Run a script in the container."""
        self.docker("exec", self.name, "sh", "-c", script)

    def restarts(self) -> int:
        """Return how often somebody, not Docker itself, has restarted it so far."""
        return self.engine.restarted.count(self.name)


@dataclass
class Town:
    """All of it, running."""

    servers: Mapping[str, Server]
    sites: Mapping[str, ContainerSite]
    running: Up
    mailbox: Mailbox

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus."""
        found = self.running.get("prometheus", "/api/v1/query", query=expression)["data"]["result"]
        assert isinstance(found, list)
        return found

    def until_seen(self, expression: str, seconds: float = PATIENT) -> None:
        """Wait until Prometheus answers with anything."""
        until(lambda: self.query(expression), seconds, expression, every=0.2)

    def firing(self, alert: str, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of that name and these labels that fire now."""
        wanted = {"alertname": alert, **labels}.items()
        alerts: list[dict[str, Any]] = self.running.get("prometheus", "/api/v1/alerts")["data"]["alerts"]
        return [one for one in alerts if one["state"] == "firing" and wanted <= one["labels"].items()]

    def until_firing(self, alert: str, seconds: float = PATIENT, **labels: str) -> dict[str, Any]:
        """Wait for an alert, and return it."""
        return until(lambda: self.firing(alert, **labels), seconds, f"{alert} {labels}", every=0.2)[0]

    def until_over(self, alert: str, seconds: float = PATIENT, **labels: str) -> None:
        """Wait for an alert's end."""
        until(lambda: not self.firing(alert, **labels), seconds, f"the end of {alert} {labels}", every=0.2)

    def fired(self, alert: str, label: str, value: str) -> bool:
        """Tell whether an alert has fired at any time since the start."""
        series = f'ALERTS{{alertname="{alert}", alertstate="firing", {label}="{value}"}}'
        return bool(self.query(f"max_over_time({series}[30m])"))

    def until_mailed(self, word: str, name: str, seconds: float = PATIENT) -> Mail:
        """Wait for a mail whose subject has that word and that name."""

        def found() -> Mail | None:
            mails = (one for one in self.mailbox.mails if one.subject.startswith(f"[{word}"))
            return next((one for one in mails if name in one.subject), None)

        return until(found, seconds, f"a mail [{word}] of {name}", every=0.2)

    def subjects(self, name: str) -> list[str]:
        """Return the subjects of the mails so far that name a site or a server."""
        return [one.subject for one in self.mailbox.mails if name in one.subject]

    def incidents(self, site: str) -> list[dict[str, Any]]:
        """Return a site's incidents as the remediator tells each, newest first."""
        return [self.running.incident(one["id"]) for one in self.running.incidents() if one["site"] == site]

    def until_incident(self, site: str, *states: str, seconds: float = PATIENT) -> dict[str, Any]:
        """Wait until a site's newest incident is in one of these states, and return it."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.incidents(site)[:1] if one["state"] in states), None)

        return until(found, seconds, f"an incident of {site} that is {' or '.join(states)}", every=0.2)

    def attempts(self, site: str) -> list[dict[str, Any]]:
        """Return all that was done about a site."""
        return [attempt for incident in self.incidents(site) for attempt in incident["attempts"]]


@contextmanager
def running_town(folder: Path, homes: Mapping[str, Home], **remediation: object) -> Iterator[Town]:
    """Start the servers, a site in a container for each home, and the stack; wait until all is watched."""
    with engine_folder() as kept, ExitStack() as ends:
        engines = {name: Engine(kept / name, folder / f"{name}.sock") for name in ("shared", "own")}
        for engine in engines.values():
            engine.folder.mkdir()
            ends.callback(engine.stop)
            engine.start().import_image()
        engine_of = {home.server: engines["own" if home.own_engine else "shared"] for home in homes.values()}
        servers = {
            name: Server(engine, ends.enter_context(_sshd(folder / name, engine, homes)))
            for name, engine in engine_of.items()
        }
        sites = {
            name: ContainerSite(name, servers[home.server].engine, free_port())
            for name, home in homes.items()
        }
        for name, site in sites.items():
            site.start(*homes[name].options, then=homes[name].script)
        configuration = _configuration(servers, sites, homes, remediation)
        (folder / "sites.yml").write_text(yaml.safe_dump(configuration))
        mailbox = ends.enter_context(smtp_server())
        smtp = {"SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port), "SMTP_TLS": "none"}
        running = ends.enter_context(up(folder, **smtp, SMTP_FROM="sitemedic@acme.example"))
        town = Town(servers, sites, running, mailbox)
        town.until_seen(f"count(sitemedic_container_up == 1) == {len(sites)}")
        town.until_seen(f"count(probe_success == 1) == {len(sites) + CALM}")
        town.until_seen("time() - process_start_time_seconds{job='sitemedic-remediator'} > 16")
        yield town


@contextmanager
def _sshd(folder: Path, engine: Engine, names: Iterable[str]) -> Iterator[SshServer]:
    wrapped = Wrapped(folder / "wrapper")
    wrapped.allow("watch *", *(f"container {name}" for name in names), f"docker_host unix://{engine.place}")
    with running_ssh_server(folder / "ssh") as ssh:
        line = wrapped.line(ssh.key_file.with_suffix(".pub").read_text())
        (ssh.folder / "authorized_keys").write_text(line)
        yield ssh


def _configuration(
    servers: Mapping[str, Server],
    sites: Mapping[str, ContainerSite],
    homes: Mapping[str, Home],
    remediation: Mapping[str, object],
) -> dict[str, object]:
    """Return a sites.yml, as patient with the sites as usual; only mails do not wait."""
    told: list[dict[str, object]] = [
        {
            "name": name,
            "url": site.url,
            "expect": {"body": "Welcome"},
            "recover": {"server": homes[name].server, "container": name},
        }
        for name, site in sites.items()
    ]
    well = next(iter(sites.values())).url
    told += [{"name": f"calm-{number}", "url": well, "alert": {"after": "5m"}} for number in range(CALM)]
    soon = {"group_wait": "1s", "group_interval": "2s"}
    return {
        "defaults": {"interval": "5s", "timeout": "2s", "email": ["ops@acme.example"]},
        "servers": {name: {"ssh": server.ssh.options} for name, server in servers.items()},
        "sites": told,
        "alerting": {"scrape_interval": "5s", "critical": soon, "warning": soon},
        "remediation": {"cooldown": "1s", "stop_timeout": "1s", **remediation},
    }
