"""Names to addresses, by ourselves: libcurl's own resolver loses names under load.

ResolveError        a name that leads to no usable address; the message is for people
"""

import socket
from dataclasses import dataclass
from functools import lru_cache

import pycares

from exporter.cares import Cares, CaresError

_V4, _V6 = 4, 6
_UNANSWERED = (pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED)


class ResolveError(Exception):
    """A name that leads to no usable address; the message is for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address to connect to, and its protocol: 4 or 6."""

    text: str
    protocol: int


class Resolver:
    """Resolves names through c-ares; bound to the running loop."""

    def __init__(self, nameservers: list[str] | None = None) -> None:
        """Ask /etc/hosts and the system's name servers, or `nameservers` (host or host:port) alone."""
        self._cares = Cares(nameservers)
        self._asked = f" (asked {', '.join(nameservers)})" if nameservers else ""

    async def close(self) -> None:
        """Abandon what is being asked and free the descriptors."""
        self.close_now()

    def close_now(self) -> None:
        """Do the same where nobody can wait."""
        self._cares.close()

    async def lookup(self, name: str, prefer: int, fallback: bool, seconds: float) -> list[Address]:
        """Return the addresses to try, at most one of each protocol, the preferred one first.

        `prefer` is 4 or 6; the other protocol is used only with `fallback`. Takes `seconds` at most.
        Raises ResolveError.
        """
        family = socket.AF_UNSPEC if fallback else _family(prefer)
        try:
            nodes = await self._cares.addresses(name, family, max(seconds, 0.001))
        except CaresError as error:
            raise ResolveError(_explain(name, error) + (self._asked or self._whom(error))) from None
        found: dict[int, Address] = {}
        for node in nodes:
            protocol = _V6 if node.family == socket.AF_INET6 else _V4
            found.setdefault(protocol, Address(_text(node.addr[0]), protocol))
        chosen = [found[protocol] for protocol in _order(prefer, fallback) if protocol in found]
        if not chosen:
            raise ResolveError(
                f"{name} has no IPv{prefer} address, and ip_protocol_fallback is off{self._asked}"
            )
        return chosen

    def _whom(self, error: CaresError) -> str:
        """Return whom this machine asks, where nobody answered: that is no fault of the site's."""
        if error.code not in _UNANSWERED:
            return ""
        return f" (this machine asks {', '.join(self._cares.servers)}: /etc/resolv.conf)"


@lru_cache(maxsize=20_000)
def literal(host: str) -> Address | None:
    """Return `host` as an address when it is one, so that nothing need be resolved."""
    bare = host.partition("%")[0]
    for family, protocol in ((socket.AF_INET, _V4), (socket.AF_INET6, _V6)):
        try:
            socket.inet_pton(family, bare)
        except OSError:
            continue
        return Address(host, protocol)
    return None


@lru_cache(maxsize=20_000)
def address_hash(address: str) -> int:
    """Return FNV-1a 32 of the address's bytes (4 or 16), as blackbox_exporter's probe_ip_addr_hash."""
    bare = address.partition("%")[0]
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    value = 0x811C9DC5
    for byte in socket.inet_pton(family, bare):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _order(prefer: int, fallback: bool) -> tuple[int, ...]:
    other = _V4 if prefer == _V6 else _V6
    return (prefer, other) if fallback else (prefer,)


def _family(protocol: int) -> socket.AddressFamily:
    return socket.AF_INET6 if protocol == _V6 else socket.AF_INET


def _text(address: str | bytes) -> str:
    return address.decode() if isinstance(address, bytes) else address


def _explain(name: str, error: CaresError) -> str:
    if error.code == pycares.errno.ARES_ENOTFOUND:
        return f"the name {name} does not exist"
    if error.code == pycares.errno.ARES_ENODATA:
        return f"the name {name} has no address"
    if error.code in _UNANSWERED:
        return f"no name server answered for {name} in time"
    return f"the name {name} was not resolved ({error})"
