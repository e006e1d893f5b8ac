"""Check a server's host key against known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

Plain and hashed names, `[host]:port`, several keys of one host, `@revoked`. Patterns and certificate
authorities are not read: what they would match is unknown here, and unknown is refused.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from paramiko import HostKeys, PKey, SSHException
from paramiko.hostkeys import HostKeyEntry

from core.servers.server import ActionError, Reason, SshSettings

_SCAN_TYPES = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}
_REVOKED = "@revoked"


@dataclass(frozen=True)
class KnownKeys:
    """The keys that one host may and may not show."""

    trusted: tuple[PKey, ...]
    revoked: tuple[PKey, ...] = ()


def known_keys(settings: SshSettings) -> KnownKeys:
    """Return what the file says of this host; a missing file knows nothing."""
    trusted: list[PKey] = []
    revoked: list[PKey] = []
    path = settings.known_hosts_file
    for line in _lines(path) if path is not None else []:
        marked, _, rest = line.partition(" ")
        if marked.startswith("@") and marked != _REVOKED:
            continue
        entry = _entry(rest.strip() if marked == _REVOKED else line)
        if entry is not None and _names(entry, host_name(settings)):
            assert entry.key is not None
            (revoked if marked == _REVOKED else trusted).append(entry.key)
    return KnownKeys(tuple(trusted), tuple(revoked))


def host_name(settings: SshSettings) -> str:
    """Write the host as known_hosts does: with the port only where it is not 22."""
    return settings.host if settings.port == 22 else f"[{settings.host}]:{settings.port}"


def verify(settings: SshSettings, known: KnownKeys, shown: PKey) -> None:
    """Raise ActionError unless `shown` is a key that this host is known by; a changed key is permanent."""
    if shown in known.revoked:
        raise _changed(settings, shown, "has been revoked")
    if shown in known.trusted:
        return
    if known.trusted:
        raise _changed(settings, shown, "is not the one we know")
    raise ActionError(
        f"the SSH host key of {host_name(settings)} is not known. Run: {scan_line(settings, shown)} "
        f"and compare the fingerprint {shown.fingerprint} with what the server's own console says: "
        "ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub",
        reason=Reason.HOST_KEY_UNKNOWN,
        permanent=True,
    )


def scan_line(settings: SshSettings, shown: PKey | None = None) -> str:
    """Return the command that adds the host's key to our file."""
    name = shown.get_name() if shown is not None else "ssh-ed25519"
    kind = _SCAN_TYPES.get(name, name.split("-")[0])
    port = [] if settings.port == 22 else ["-p", str(settings.port)]
    scan = shlex.join(["ssh-keyscan", "-t", kind, *port, settings.host])
    return f"{scan} >> {shlex.quote(str(settings.known_hosts_file or 'known_hosts'))}"


def _changed(settings: SshSettings, shown: PKey, what: str) -> ActionError:
    return ActionError(
        f"the SSH host key of {host_name(settings)} {what} (it shows {shown.fingerprint}): either the server "
        "was reinstalled or somebody sits in between. Nothing is done there until a human has compared the "
        f"fingerprint on the server and replaced the line in {settings.known_hosts_file}",
        reason=Reason.HOST_KEY_CHANGED,
        permanent=True,
    )


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ActionError(
            f"cannot read {path}: {error.strerror}; let the remediator's user read it",
            reason=Reason.HOST_KEY_UNKNOWN,
            permanent=True,
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _entry(line: str) -> HostKeyEntry | None:
    try:
        entry = HostKeyEntry.from_line(" ".join(line.split()))
    except (SSHException, ValueError, TypeError):
        return None  # a damaged line knows nobody
    return entry if entry is not None and entry.key is not None else None


def _names(entry: HostKeyEntry, name: str) -> bool:
    for pattern in entry.hostnames or ():
        if pattern.startswith("|1|"):
            try:
                if HostKeys.hash_host(name, pattern) == pattern:
                    return True
            except (ValueError, AssertionError):
                continue
        elif pattern.lower() == name.lower():
            return True
    return False
