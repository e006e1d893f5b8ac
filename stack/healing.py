"""Say plainly, at the start, where healing would not work: a server that lets nobody in, a wrong token.

It only looks: it logs in by SSH and reads the Linode, as the remediator would before an act.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from core.faults import ConfigError
from core.secrets import from_environment
from core.sites import Document
from remediator.actions.action import ActionError, Server
from remediator.connect import connect
from remediator.linode import DEFAULT_URL, LinodeAPI
from remediator.schema import file_faults, servers, targets

_AT_ONCE = 16


def faults(document: Document, environ: Mapping[str, str]) -> list[str]:
    """Return a line for each server that could not be healed now: why, and what to do."""
    wrong = file_faults(document)
    told = [str(fault) for fault in wrong]
    lacking = {fault.path.removeprefix("servers.").rpartition(".ssh.")[0] for fault in wrong}
    wanted = [server for server in concerned(document) if server.name not in lacking]  # told once, not twice
    try:
        linode = _linode(environ)
    except ConfigError as error:
        return [*told, str(error)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="healing") as pool:
        found = pool.map(lambda server: _server_faults(server, linode), wanted)
        return told + [line for lines in found for line in lines]


def concerned(document: Document) -> list[Server]:
    """Return the servers that some site is healed on."""
    needed = {target.server.name for target in targets(document).values()}
    return [server for name, server in servers(document).items() if name in needed]


def _linode(environ: Mapping[str, str]) -> LinodeAPI | None:
    token = from_environment("LINODE_TOKEN", environ)
    return LinodeAPI(token, environ.get("LINODE_API_URL") or DEFAULT_URL) if token else None


def _server_faults(server: Server, linode: LinodeAPI | None) -> list[str]:
    told = []
    try:
        connect(server).close()
    except ActionError as error:
        told.append(f"{server.name}: {error.message}")
    if server.linode is not None and server.may_reboot:
        told += _linode_faults(server.name, server.linode, linode)
    return told


def _linode_faults(name: str, linode_id: int, linode: LinodeAPI | None) -> list[str]:
    if linode is None:
        return [f"{name}: it may be rebooted, but LINODE_TOKEN is not set in .env"]
    try:
        linode.instance(linode_id)
        linode.highest_event_id(linode_id)
    except ActionError as error:
        return [f"{name}: {error.message}"]
    return []
