"""The lab put together: world, doubles, the remediator between them, and what is free for the next outage."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.campaign import sites_file
from stack.campaign.alertmanager import Alertmanager
from stack.campaign.disk import SmallDisk
from stack.campaign.exporter import Exporter
from stack.campaign.http import served
from stack.campaign.ledger import Kind, Ledger
from stack.campaign.linode import TOKEN, LabAccount, LabFaults, account_of, linode_api
from stack.campaign.process import API, LAUNCHER, Process, free_port
from stack.campaign.sites_file import APPROVED, OBSERVED, UNWATCHED, SitesFile
from stack.campaign.ssh import SshLab
from stack.campaign.world import Server, World

WEBHOOK_TOKEN, API_TOKEN = "lab-webhook-token", "lab-api-token"
LOOK_EVERY = 0.15
TIMING = {
    "reconcile": 0.3, "recheck": 0.5, "idle_recheck": 0.8, "probe_spacing": 0.3, "lease_ttl": 4.0,
    "ask_happened_after": 1.5, "settle_within": 25.0, "prepare_within": 5.0, "act_within": 6.0,
    "abandoned_cooldown": 0.5, "probe_max_age": 3.0, "look_max_age": 10.0, "probe_timeout": 2.0,
    "sites_max_age": 0.3, "job_limit": 20.0, "notify": 1.0, "notify_lasts": 8.0, "mail_look": 5.0,
    "start_grace": 1.0, "silences": 0.4, "silences_max_age": 8.0, "storm_seen": 0.5, "foreign_event_age": 3.0,
    "told_held": 1.0, "told_failed": 2.0, "told_recovered": 3.0, "storm_lasts": 3.0,
}  # fmt: skip
"""The remediator's own rhythm, some ten times as quick as in use."""


@dataclass
class Lab:
    """Everything that an outage or a fault may reach for."""

    ledger: Ledger
    world: World
    exporter: Exporter
    alertmanager: Alertmanager
    linode: LabAccount
    linode_faults: LabFaults
    sites: SitesFile
    process: Process
    api: API
    disk: SmallDisk
    storage_url: str
    within: float
    """Seconds within which an outage ends, or a human has it."""
    open_sites: set[str] = field(default_factory=set)
    mended: set[str] = field(default_factory=set)
    alone: dict[str, threading.Lock] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    _free: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._free = set(self.world.servers)
        self.alone = {
            name: threading.Lock()
            for name in ("database", "process", "exporter", "alertmanager", "silences", "network")
        }

    def take(self, wanted: Sequence[str], count: int, dice: random.Random) -> list[Server] | None:
        """Take some of the wanted servers for one outage alone; None where too few are free."""
        with self._lock:
            free = sorted(name for name in wanted if name in self._free and not self._busy(name))
            if len(free) < count:
                return None
            chosen = dice.sample(free, count)
            self._free -= set(chosen)
        return [self.world.servers[name] for name in chosen]

    def give_back(self, servers: Sequence[Server]) -> None:
        """Let the next outage have them."""
        with self._lock:
            self._free |= {server.name for server in servers}

    def forbid(self, sites: Sequence[str], why: str, on: bool, at_once: bool = False) -> None:
        """Note that these sites must not be touched from now on, or may be again.

        `at_once`: nothing is under way there that may still come.
        """
        for site in sites:
            self.ledger.add(Kind.FORBIDDEN, site, why=why, on=on, at_once=at_once)

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the campaign is being ended."""
        if self.stopping.wait(seconds):
            raise InterruptedError

    def look(self) -> None:
        """Watch the world as the exporter's schedule, Prometheus and Alertmanager do, until the end."""
        asked = 0.0
        while not self.stopping.wait(LOOK_EVERY):
            seen = self.exporter.look()
            self.alertmanager.look({site for site, reason in seen.items() if reason is not None})
            if time.monotonic() - asked > 0.4:
                asked = time.monotonic()
                found = self.api.open_sites()
                if found is not None:
                    self.open_sites = found

    def _busy(self, server: str) -> bool:
        sites = {one.site for one in self.world.servers[server].containers.values()}
        return bool(sites & self.open_sites) or not all(self.world.healthy(site) for site in sites)


def watched() -> list[str]:
    """Return the servers whose sites are healed without asking."""
    others = {*APPROVED, OBSERVED, UNWATCHED}
    return [one.name for one in sites_file.servers() if one.name not in others]


@contextmanager
def running_lab(
    folder: Path, storage_url: str | None, within: float, launcher: Sequence[str] = LAUNCHER
) -> Iterator[Lab]:
    """Build the lab in a folder; the remediator is started by whoever calls `process.keep`."""
    disk = SmallDisk(folder / "disk")
    url = storage_url or f"sqlite:///{disk.folder}/remediator.db"
    ledger = Ledger()
    world = World(sites_file.servers(), ledger)
    ssh = SshLab(world, folder)
    ssh.write_keys()
    sites = SitesFile(folder / "sites.yml", world.servers, ssh.ports)
    sites.write()
    exporter, account, faults = Exporter(world), account_of(world), LabFaults()
    places = {site: server.name for site, (server, _) in world.places.items()}
    alertmanager = Alertmanager(ledger, places, WEBHOOK_TOKEN)
    with ExitStack() as stack:
        addresses = {
            "--exporter.url": stack.enter_context(served(exporter.answer)),
            "--alertmanager.url": stack.enter_context(served(alertmanager.answer)),
            "--linode.api-url": stack.enter_context(linode_api(account, faults)),
        }
        port = free_port()
        process = Process(ledger, folder, _arguments(folder, port, addresses), _secrets(url), launcher)
        alertmanager.url = f"http://127.0.0.1:{port}/webhook/alertmanager"
        api = API(f"http://127.0.0.1:{port}", API_TOKEN)
        lab = Lab(
            ledger, world, exporter, alertmanager, account, faults, sites, process, api, disk, url, within
        )
        ssh.start()
        watch = threading.Thread(target=lab.look, name="watch", daemon=True)
        watch.start()
        try:
            yield lab
        finally:
            lab.stopping.set()
            watch.join(10)
            alertmanager.stop()
            process.end()
            ssh.stop()
            disk.close()


def _arguments(folder: Path, port: int, addresses: dict[str, str]) -> list[str]:
    timing = (f"--timing={name}={seconds}" for name, seconds in TIMING.items())
    given = (word for pair in addresses.items() for word in pair)
    return [
        "--config.file", str(folder / "sites.yml"), "--web.listen-address", f"127.0.0.1:{port}",
        *given, *timing,
    ]  # fmt: skip


def _secrets(url: str) -> dict[str, str]:
    tokens = {"WEBHOOK_TOKEN": WEBHOOK_TOKEN, "API_TOKEN": API_TOKEN, "LINODE_TOKEN": TOKEN}
    return {**tokens, "STORAGE_URL": url}
