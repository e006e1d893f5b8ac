"""Ways to run commands on a server: over SSH, or on this machine."""

from __future__ import annotations

from core.servers.local import LocalConnector
from core.servers.server import ActionError, Connector, Reason, Server
from core.servers.ssh import SshConnector


def connect(server: Server) -> Connector:
    """Return an open connection to the server; ActionError says what to do where there is none."""
    if server.local:
        return LocalConnector()
    if server.ssh is None:
        raise ActionError(
            f"server {server.name} has no way in: give it ssh: or docker: local in sites.yml",
            reason=Reason.NOT_ALLOWED,
            permanent=True,
        )
    return SshConnector(server.ssh)
