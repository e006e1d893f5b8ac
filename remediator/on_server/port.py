"""A site's own port, tried from here: whether anything takes a connection says much about what broke."""

from __future__ import annotations

import socket
from enum import StrEnum
from urllib.parse import urlsplit

PATIENCE = 3.0
"""Seconds for one address."""
MOST_ADDRESSES = 3
_USUAL = {"http": 80, "https": 443}


class PortState(StrEnum):
    """What a port does with a connection."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "silent"
    UNKNOWN = "unknown"


def place_of(instance: str) -> tuple[str, int] | None:
    """Return the host and port behind a site's `instance`, None where it has none."""
    try:
        parts = urlsplit(instance if "://" in instance else f"http://{instance}")
        port = parts.port or _USUAL.get(parts.scheme.lower())
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def try_port(host: str, port: int, patience: float = PATIENCE) -> PortState:
    """Open a connection and close it again; of a host's addresses the best answer counts."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:MOST_ADDRESSES]
    except (OSError, UnicodeError):
        return PortState.UNKNOWN
    states = set()
    for family, kind, protocol, _, address in found:
        states.add(_try(family, kind, protocol, address, patience))
        if PortState.OPEN in states:
            return PortState.OPEN
    return next((state for state in PortState if state in states), PortState.UNKNOWN)


def _try(family: int, kind: int, protocol: int, address: tuple[object, ...], patience: float) -> PortState:
    try:
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(patience)
            connection.connect(address)
    except ConnectionRefusedError:
        return PortState.REFUSED
    except TimeoutError:
        return PortState.SILENT
    except OSError:
        return PortState.UNKNOWN
    return PortState.OPEN
