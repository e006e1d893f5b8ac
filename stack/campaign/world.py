"""The lab's world as it truly is: servers, their containers, and the sites in them.

Every change is made under one lock; what a monitor would now see of each site goes into the ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stack.campaign.ledger import Kind, Ledger

RESTART_SECONDS = 0.7
REBOOT_SECONDS = 1.2


@dataclass
class Container:
    """One container; `sick`: the reason for which its site fails while it runs; `stubborn`: stays sick."""

    name: str
    site: str
    running: bool = True
    sick: str | None = None
    stubborn: bool = False
    starts: int = 1
    stays_down: bool = False


@dataclass
class Server:
    """One machine; `ssh`: ok, silent, reset or key_changed; faults are used up by the next commands."""

    name: str
    linode: int | None
    may_reboot: bool
    may_boot: bool = False
    alive: bool = True
    ssh: str = "ok"
    containers: dict[str, Container] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class World:
    """All servers; `cut`: sites that our own network hides, None for all of them."""

    def __init__(self, servers: Iterable[Server], ledger: Ledger) -> None:
        self.servers = {server.name: server for server in servers}
        self.ledger = ledger
        self.lock = threading.RLock()
        self.places: dict[str, tuple[Server, Container]] = {
            container.site: (server, container)
            for server in self.servers.values()
            for container in server.containers.values()
        }
        self.canaries = True
        self._cut: frozenset[str] = frozenset()
        self._seen: dict[str, str | None] = dict.fromkeys(self.places)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the world still, change it, and note what has become visible."""
        with self.lock:
            yield
            reasons = {site: self._reason(site) for site in self.places}
            changed = {site: reason for site, reason in reasons.items() if reason != self._seen[site]}
            self._seen.update(changed)
            self.ledger.add_at_once(Kind.SEEN, {site: {"reason": reason} for site, reason in changed.items()})

    def seen(self, site: str) -> str | None:
        """Return the reason for which a probe of the site would fail now; None where it would pass."""
        with self.lock:
            return self._seen[site]

    def healthy(self, site: str) -> bool:
        """Tell whether the site itself is well, whatever our network shows."""
        with self.lock:
            return self._own_reason(site) is None

    def cut(self, sites: frozenset[str], canaries: bool) -> None:
        """Hide these sites behind a broken network of ours; with `canaries` False, those too."""
        with self.changing():
            self._cut = sites
            if canaries is not self.canaries:
                self.canaries = canaries
                self.ledger.add(Kind.CANARIES, "all", answering=canaries)

    def mend(self, site: str) -> None:
        """Do what a person would do: put the site's server and container right."""
        with self.changing():
            server, container = self.places[site]
            server.alive, server.ssh = True, "ok"
            server.faults.clear()
            container.stubborn, container.sick, container.stays_down = False, None, False
            if not container.running:
                container.running = True
                container.starts += 1

    def restart(self, server: Server, container: Container, *, from_stopped: bool = False) -> None:
        """Restart a container as Docker does, taking its time."""
        what = "start" if from_stopped else "restart"
        with self.changing():
            self._effect(what, server, container.name, container.site)
            container.running = False
        self._after(RESTART_SECONDS, lambda: self._started(server, container, what))

    def _started(self, server: Server, container: Container, what: str) -> None:
        with self.changing():
            if server.alive:
                container.running = not container.stays_down
                container.starts += 1
                if not container.stubborn:
                    container.sick = None
        self.ledger.add(Kind.EFFECT, server.name, what=what, container=container.name, ended=True)

    def power(self, server: Server, what: str) -> None:
        """Reboot or boot a machine: all is down, then up, with every second stopped container still down."""
        with self.changing():
            self._effect(what, server, "", "")
            server.alive = False
        self._after(REBOOT_SECONDS, lambda: self._booted(server, what))

    def _booted(self, server: Server, what: str) -> None:
        with self.changing():
            server.alive, server.ssh = True, "ok"
            for number, container in enumerate(server.containers.values()):
                if not container.stubborn:
                    container.sick = None
                container.running = container.running or bool(number % 2)
                container.starts += 1
        self.ledger.add(Kind.EFFECT, server.name, what=what, container="", ended=True)

    def _effect(self, what: str, server: Server, container: str, site: str) -> None:
        """Write it down before anything of it can be seen."""
        self.ledger.add(Kind.EFFECT, server.name, what=what, container=container, site=site, ended=False)

    @staticmethod
    def _after(seconds: float, then: Callable[[], None]) -> None:
        time.sleep(seconds)
        then()

    def _reason(self, site: str) -> str | None:
        return "timeout" if site in self._cut else self._own_reason(site)

    def _own_reason(self, site: str) -> str | None:
        server, container = self.places[site]
        if not server.alive:
            return "timeout"
        return container.sick if container.running else "refused"
