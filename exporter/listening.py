"""Where the exporter listens: addresses, or the sockets that systemd hands over.

StartError        it cannot listen; says what to do
"""

import errno
import os
import socket
import ssl
from collections.abc import Sequence

from aiohttp import web

Address = tuple[str, int]
"""Host (empty: all) and port."""

_FIRST_HANDED = 3


class StartError(Exception):
    """The exporter cannot start; says what to do."""


async def listen(runner: web.AppRunner, addresses: Sequence[Address], tls: ssl.SSLContext | None) -> None:
    """Serve on every address. Raises StartError."""
    for host, port in addresses:
        try:
            await web.TCPSite(runner, host or None, port, ssl_context=tls).start()
        except OSError as error:
            raise StartError(f"cannot listen on {host}:{port}: {_mend(error)}") from error


async def listen_on_handed(runner: web.AppRunner, tls: ssl.SSLContext | None) -> list[Address]:
    """Serve on the sockets of systemd's socket activation. Raises StartError."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or int(count) == 0:
        raise StartError("--web.systemd-socket: systemd handed no socket over; start it by its .socket unit")
    found = []
    for descriptor in range(_FIRST_HANDED, _FIRST_HANDED + int(count)):
        handed = socket.socket(fileno=descriptor)
        handed.setblocking(False)
        await web.SockSite(runner, handed, ssl_context=tls).start()
        name = handed.getsockname()
        found.append((str(name[0]), int(name[1])) if isinstance(name, tuple) else (str(name), 0))
    return found


def shown(addresses: Sequence[Address]) -> str:
    """Return the addresses as one word of a log line."""
    return ",".join(f"{host}:{port}" for host, port in addresses)


def _mend(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "something listens there already; stop it or choose another --web.listen-address"
    return f"{error.strerror or error}; choose another --web.listen-address"
