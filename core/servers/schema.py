"""The part of sites.yml that says what machines there are, and how they are reached."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from core.faults import Fault
from core.servers.containers import DockerApiOptions
from core.servers.known_hosts import scan_line
from core.servers.options import ServerOptions, ServersDefaults, ServersTop, SshDefaults, SshOptions
from core.servers.server import DockerApi, Server, SshSettings
from core.sites import Document, Part

_KEY_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")


def servers(document: Document) -> dict[str, Server]:
    """Return every server with its defaults filled in and its paths absolute."""
    common = document.default(ServersDefaults).ssh
    options = document.top(ServersTop).servers
    return {name: _server(name, one, common, document.folder) for name, one in options.items()}


def file_faults(document: Document) -> list[Fault]:
    """Return what is wrong with the key and known_hosts files of the servers.

    Not part of the document's own check: who reads the same sites.yml may not see these files, nor need them.
    """
    faults = []
    for name, server in servers(document).items():
        if server.ssh is not None:
            faults += list(_key_faults(document, f"servers.{name}.ssh", server.ssh))
    return faults


def api_file_faults(document: Document) -> list[Fault]:
    """Return which files for Docker's API cannot be read: only who watches containers needs them."""
    faults = []
    for name, server in servers(document).items():
        for key in ("ca_file", "cert_file", "key_file"):
            path = getattr(server.docker_api, key, None)
            if path is not None and not os.access(path, os.R_OK):
                faults.append(document.fault(None, f"servers.{name}.docker_api.{key}", f"cannot read {path}"))
    return faults


def _key_faults(document: Document, path: str, ssh: SshSettings) -> Iterator[Fault]:
    key, known = ssh.key_file, ssh.known_hosts_file
    if key is None:
        mend = "set it to a private key (ssh-keygen -t ed25519 -N '' -f keys/id_ed25519)"
        yield document.fault(None, f"{path}.key_file", mend)
    elif not os.access(key, os.R_OK) or not key.is_file():
        yield document.fault(None, f"{path}.key_file", f"cannot read {key}")
    elif key.stat().st_mode & 0o007:
        mend = f"others may read {key}: chmod 600 {key}"
        yield document.fault(None, f"{path}.key_file", mend)
    if known is None or not os.access(known, os.R_OK) or not known.is_file():
        mend = f"no {known}: {scan_line(ssh)}, then compare the fingerprints on the server"
        yield document.fault(None, f"{path}.known_hosts_file", mend)


def _server(name: str, options: ServerOptions, common: SshDefaults, folder: Path) -> Server:
    ssh = options.ssh
    return Server(
        name=name,
        ssh=None if ssh is None else _ssh(ssh, common, folder),
        linode=options.linode,
        may_reboot=options.may_reboot,
        may_boot=options.may_boot,
        local=options.docker == "local",
        docker_api=None if options.docker_api is None else _docker_api(options.docker_api, folder),
    )


def _docker_api(own: DockerApiOptions, folder: Path) -> DockerApi:
    files = {key: getattr(own, key) for key in ("ca_file", "cert_file", "key_file")}
    return DockerApi(own.url, **{key: path and _absolute(path, folder) for key, path in files.items()})


def _ssh(own: SshOptions, common: SshDefaults, folder: Path) -> SshSettings:
    key_file = own.key_file or common.key_file
    known_hosts = own.known_hosts_file or common.known_hosts_file
    return SshSettings(
        host=own.host,
        port=own.port or common.port or 22,
        user=own.user or common.user or "root",
        key_file=_absolute(key_file, folder) if key_file else _first_key(folder),
        known_hosts_file=_absolute(known_hosts, folder) if known_hosts else _first_known_hosts(folder),
    )


def _absolute(path: Path, folder: Path) -> Path:
    return (folder / path.expanduser()).absolute()


def _first_key(folder: Path) -> Path | None:
    """Return the key that a new user most likely means: beside the file, else their own."""
    candidates = [place / name for place in (folder / "keys", Path.home() / ".ssh") for name in _KEY_NAMES]
    return next((path.absolute() for path in candidates if path.is_file()), None)


def _first_known_hosts(folder: Path) -> Path:
    beside, own = folder / "known_hosts", Path.home() / ".ssh" / "known_hosts"
    return own if not beside.exists() and own.exists() else beside.absolute()


def _same_machine(document: Document) -> Iterator[Fault]:
    """Two names for one machine would be two leases: two acts at once, or a reboot under a restart."""
    kinds: tuple[tuple[str, str, Callable[[ServerOptions], object]], ...] = (
        ("linode", "the same Linode", lambda one: one.linode),
        ("ssh", "the same machine", lambda one: one.ssh and (one.ssh.host.lower(), one.ssh.port)),
        ("docker", "this same machine", lambda one: one.docker),
    )
    for key, what, identity in kinds:
        seen: dict[object, str] = {}
        for name, one in document.top(ServersTop).servers.items():
            value = identity(one)
            if value is None:
                continue
            if value in seen:
                message = f"is {what} as {seen[value]}: give one machine one name"
                yield document.fault(None, f"servers.{name}.{key}", message)
            seen.setdefault(value, name)


PART = Part(owner="servers", top=ServersTop, defaults=ServersDefaults, check=_same_machine)
