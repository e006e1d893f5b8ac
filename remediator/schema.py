"""The remediator's part of `sites.yml`: servers, what may be done about a site, and how far to go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.faults import Fault
from core.sites import Document, Part, Site
from remediator.actions.action import Server, SshSettings, Target
from remediator.connect.known_hosts import scan_line
from remediator.incident import Mode
from remediator.needs import needs_of
from remediator.options import (
    RemediatorDefaults,
    RemediatorSite,
    RemediatorTop,
    ServerOptions,
    SshDefaults,
    SshOptions,
)
from remediator.playbooks import DEFAULT, Playbook, playbooks_of
from remediator.schema_checks import check, named_playbook

__all__ = ["PART", "file_faults", "mode", "needs_of", "playbooks", "servers", "targets"]

_KEY_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")


def servers(document: Document) -> dict[str, Server]:
    """Return every server with its defaults filled in and its paths absolute."""
    common = document.default(RemediatorDefaults).ssh
    options = document.top(RemediatorTop).servers
    return {name: _server(name, one, common, document.folder) for name, one in options.items()}


def targets(document: Document) -> dict[str, Target]:
    """Return what heals each site, by the site's name; a site that may not be touched is left out."""
    known = servers(document)
    stop_timeout = document.top(RemediatorTop).remediation.stop_timeout
    found = {}
    for site in document.sites:
        recover = site.part(RemediatorSite).recover
        if recover is None:
            continue
        project, _, service = (recover.compose or "").partition("/")
        found[site.name] = Target(
            site=site.name,
            server=known[recover.server],
            container=recover.container,
            compose=(project, service) if recover.compose is not None else None,
            stop_timeout=stop_timeout,
        )
    return found


def mode(document: Document, site: Site) -> Mode:
    """Return a site's own mode, else the one for all."""
    recover = site.part(RemediatorSite).recover
    own = recover.mode if recover is not None else None
    return own or document.top(RemediatorTop).remediation.mode


def playbooks(document: Document) -> dict[str, Playbook]:
    """Return the playbook of each site: the one that it names, else the one named default."""
    known = playbooks_of(document.top(RemediatorTop).playbooks)
    return {site.name: known[named_playbook(site) or DEFAULT] for site in document.sites}


def file_faults(document: Document) -> list[Fault]:
    """Return what is wrong with the key and known_hosts files of the servers.

    Not part of the document's own check: only the remediator can see these files, and the exporter, which
    reads the same sites.yml, must not need them.
    """
    faults = []
    for name, server in servers(document).items():
        if server.ssh is not None:
            faults += list(_key_faults(document, f"servers.{name}.ssh", server.ssh))
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
    )


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


def _info(site: Site, document: Document) -> dict[str, str]:
    recover = site.part(RemediatorSite).recover
    if recover is None:
        return {"server": "", "healing": ""}
    return {"server": recover.server, "healing": mode(document, site)}


PART = Part(
    owner="remediator",
    top=RemediatorTop,
    site=RemediatorSite,
    defaults=RemediatorDefaults,
    inherited=frozenset(),
    check=check,
    info=_info,
)
