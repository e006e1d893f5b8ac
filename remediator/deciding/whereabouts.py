"""Which machine is which: what stands on a server, and whether a server is the machine that we run on."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from core.servers.server import ActionError, Server
from remediator.model.action import LinodeClient
from remediator.model.facts import Sites, Untold

REMEMBERED = 60.0
"""Seconds for which an answer about a name is kept: a resolver may be slow."""


def neighbours_of(site: str, server: Server, servers: Mapping[str, str], sites: Sites | None) -> list[str]:
    """Return the other sites of a server, those last seen healthy first.

    These are the sites that `recover:` on it, and those that name no server but whose URL has the same host
    as its `ssh:` or as one of its sites. Loopback says nothing: it may be a tunnel's end.
    """
    states = sites if sites is not None else Sites()
    on_it = {name for name, where in servers.items() if where == server.name} | {site}
    hosts = {_host(states[name].instance) for name in on_it if name in states}
    hosts |= {server.ssh.host.lower()} if server.ssh is not None else set()
    hosts = {host for host in hosts if host and not is_loopback(host)}
    beside = {name for name in states if name not in servers and _host(states[name].instance) in hosts}
    found = (on_it | beside) - {site}
    return sorted(found, key=lambda name: (name in states and states[name].success is False, name))


def _host(instance: str) -> str:
    try:
        return (urlsplit(instance).hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether a host is written as this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OwnMachine:
    """Tells whether a server is the machine that we run on. In a container only its own names are known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, bool]] = {}

    def is_server(self, server: Server, linode: LinodeClient | None) -> bool | Untold:
        """Compare a server's ssh host with our addresses, and its Linode's too where one is given to ask."""
        if server.local or any(self._is_ours(name) for name in _ssh_names(server)):
            return True
        if linode is None or server.linode is None:
            return False
        try:
            addresses = linode.instance(server.linode).addresses
        except ActionError as error:
            return Untold(error.message, error.permanent)
        return any(self._is_ours(address) for address in addresses)

    def _is_ours(self, name: str) -> bool:
        now = time.monotonic()
        with self._lock:
            until, ours = self._known.get(name, (0.0, False))
        if now >= until:
            ours = any(_can_be_bound(place) for place in _places(name))
            with self._lock:
                self._known[name] = (now + REMEMBERED, ours)
        return ours


def _ssh_names(server: Server) -> Iterable[str]:
    """Return the ssh host, unless it may be a tunnel's end: loopback on another port than 22."""
    if server.ssh is None or (server.ssh.port != 22 and is_loopback(server.ssh.host)):
        return ()
    return (server.ssh.host,)


_Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def _places(name: str) -> Iterator[_Place]:
    try:
        found = socket.getaddrinfo(name, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return
    for family, _, _, _, address in found:
        yield family, address


def _can_be_bound(place: _Place) -> bool:
    """Tell whether an address is this machine's: only those can be bound here."""
    family, address = place
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True
