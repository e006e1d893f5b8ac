"""Addresses: which are private, and which belong to a network."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")


def parse_network(text: str) -> Network | None:
    """Read `10.0.0.0/8` or `fd00::/8`; None for anything else."""
    if "/" not in text:
        return None
    try:
        return ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def is_private(address: str) -> bool:
    """Say whether an address is none of the public internet: private, link-local, loopback, multicast.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) counts as itself; what is no address is private.
    """
    known = _address(address)
    return known is None or not known.is_global or known.is_multicast


def within(address: str, network: Network) -> bool:
    """Say whether an address, also one inside an IPv6 one, belongs to the network."""
    known = _address(address)
    return known is not None and known.version == network.version and known in network


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        known = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return known if isinstance(known, IPv4Address) else _inner(known) or known


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
