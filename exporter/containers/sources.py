"""Which way to a server's engine: its socket, its API over TLS, or SSH and the wrapper."""

from __future__ import annotations

import os

from core.servers.server import Server
from exporter.containers.engine_api import SOCKET, EngineAddress, EngineApi
from exporter.containers.model import Source
from exporter.containers.over_ssh import OverSsh


def source_of(server: Server, address: EngineAddress | None = None) -> Source:
    """Return the source for a server, connecting to nothing yet.

    `address` is the server's `docker_api:`, where it has one; this machine's engine is where DOCKER_HOST
    says, as for the docker command, else at its usual socket.
    """
    if address is not None:
        return EngineApi(server.name, address)
    if server.ssh is None:
        here = os.environ.get("DOCKER_HOST", "")
        return EngineApi(server.name, EngineAddress(here if here.startswith(("unix:", "tcp:")) else SOCKET))
    return OverSsh(server.name, server.ssh)
