"""The lab's sites.yml, and the changes that people make to it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.files import write_whole
from stack.campaign.world import Container, Server

SERVERS, SITES_A_SERVER = 40, 3
BOOTABLE, REBOOTABLE, KNOWN_LINODE = 12, 22, 28
"""The servers are numbered: so many of the first may be booted, rebooted, or are known to be Linodes."""
APPROVED, OBSERVED, UNWATCHED = ("web-36", "web-37", "web-38"), "web-39", "web-40"
NEEDING = frozenset({"web-01", "web-02", "web-33"})
"""The third site of these servers needs the first."""
REMEDIATION: dict[str, Any] = {
    "max_unhealthy": "50%",
    "attempts": 3,
    "per": "120s",
    "cooldown": "7s",
    "prove_within": "5s",
    "stop_timeout": "1s",
    "storm_cooldown": "1s",
    "approval_lasts": "10s",
}
_ALWAYS = {"from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}


def servers() -> list[Server]:
    """Return the lab's servers, well and with their containers."""
    found = []
    for number in range(1, SERVERS + 1):
        name = f"web-{number:02}"
        linode = 100 + number if number <= KNOWN_LINODE else None
        server = Server(name, linode, may_reboot=number <= REBOOTABLE, may_boot=number <= BOOTABLE)
        for letter in "abc"[:SITES_A_SERVER]:
            server.containers[f"app-{letter}"] = Container(f"app-{letter}", f"{name}-{letter}")
        found.append(server)
    return found


class SitesFile:
    """Writes the file; `removed`, `maintained` and `observed` are what people have changed in it."""

    def __init__(self, path: Path, world: Mapping[str, Server], ports: Mapping[str, int]) -> None:
        self.path = path
        self._servers = world
        self._ports = ports
        self.lock = threading.Lock()
        self.removed: set[str] = set()
        self.maintained: set[str] = set()

    def write(self) -> None:
        """Write it whole."""
        write_whole(self.path, yaml.safe_dump(self._document(), sort_keys=False))

    def needs(self, site: str) -> str | None:
        """Return the site that must be well before this one is healed."""
        server, _, letter = site.rpartition("-")
        return f"{server}-a" if letter == "c" and server in NEEDING else None

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "defaults": {
                "ssh": {"user": "medic", "key_file": "medic", "known_hosts_file": "known_hosts"},
            },
            "canaries": ["tcp://198.51.100.1:443"],
            "servers": {name: self._server(one) for name, one in self._servers.items()},
            "remediation": REMEDIATION,
            "sites": [
                self._site(server, container)
                for server in self._servers.values()
                for container in server.containers.values()
                if container.site not in self.removed
            ],
        }
        if self.maintained:
            window = {"name": "planned work", **_ALWAYS, "sites": sorted(self.maintained)}
            document["maintenance"] = [window]
        return document

    def _server(self, server: Server) -> dict[str, Any]:
        options: dict[str, Any] = {"ssh": f"127.0.0.1:{self._ports[server.name]}"}
        if server.linode is not None:
            options["linode"] = server.linode
        if server.may_reboot:
            options["may_reboot"] = True
        if server.may_boot:
            options["may_boot"] = True
        return options

    def _site(self, server: Server, container: Container) -> dict[str, Any]:
        site: dict[str, Any] = {"name": container.site, "url": f"http://{container.site}.example/"}
        if server.name != UNWATCHED:
            site["recover"] = {"server": server.name, "container": container.name}
        if server.name == OBSERVED:
            site["recover"]["mode"] = "observe"
        if server.name in APPROVED:
            site["recover"]["mode"] = "approve"
        needed = self.needs(container.site)
        if needed is not None and needed not in self.removed:
            site["needs"] = [needed]
        return site
