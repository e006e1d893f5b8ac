"""Which way to a server's engine: its socket, its API over TLS, or SSH and the wrapper."""

from __future__ import annotations

import os

from core.servers.server import DockerApi, Server
from exporter.containers.cgroup_files import CgroupFiles
from exporter.containers.engine_api import EngineApi
from exporter.containers.model import Source
from exporter.containers.over_ssh import OverSsh

SOCKET = "unix:///var/run/docker.sock"


def source_of(server: Server) -> Source:
    """Return the source for a server, connecting to nothing yet.

    Its `docker_api:` goes before SSH. This machine's engine is where DOCKER_HOST says, as for the docker
    command, else at its usual socket.
    """
    if server.docker_api is not None:
        return _engine(server.name, server.docker_api)
    if server.ssh is not None:
        return OverSsh(server.name, server.ssh)
    here = os.environ.get("DOCKER_HOST", "")
    return _engine(server.name, DockerApi(here if here.startswith(("unix:", "tcp:")) else SOCKET))


def _engine(name: str, address: DockerApi) -> EngineApi:
    """A socket is this machine's: so are the files of the kernel's counters."""
    files = CgroupFiles() if address.url.startswith("unix:") else None
    return EngineApi(name, address, files=files)
