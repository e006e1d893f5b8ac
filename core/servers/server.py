"""A server of sites.yml, a way to run commands on it, and the one error of whatever is tried there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Reason(StrEnum):
    """Why an action could not do its work: a closed set, which becomes a metric's label.

    `UNREACHABLE` says that the server gave no sign of life. `CANNOT_TELL` says that SSH failed in a way that
    is no word about the server: our own resolver, descriptors or routes, or two sides that find no cipher.
    """

    UNREACHABLE = "unreachable"
    CANNOT_TELL = "cannot_tell"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    AUTH = "auth"
    COMMAND_FAILED = "command_failed"
    NOT_FOUND = "not_found"
    AMBIGUOUS_TARGET = "ambiguous_target"
    LINODE_AUTH = "linode_auth"
    LINODE_NOT_FOUND = "linode_not_found"
    LINODE_BUSY = "linode_busy"
    LINODE_ERROR = "linode_error"
    TIMEOUT = "timeout"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN = "unknown"


class ActionError(Exception):
    """An action failed: `permanent` says that a retry cannot help, the message says what to do.

    `reason=Reason.UNKNOWN` means that the outcome of an act is unknown: ask `happened`, never repeat the act
    blindly. `retry_after` is in seconds (0: the caller's choice).
    """

    def __init__(
        self, message: str, *, reason: Reason, permanent: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after


@dataclass(frozen=True)
class SshSettings:
    """How a server is reached by SSH; the paths are absolute."""

    host: str
    port: int = 22
    user: str = "root"
    key_file: Path | None = None
    known_hosts_file: Path | None = None


@dataclass(frozen=True)
class DockerApi:
    """Where a server's engine is asked about its containers, beside SSH; the paths are absolute.

    `url` is tcp://host:port, or unix:///path on this machine. TLS is spoken where there is a ca_file.
    """

    url: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True)
class Server:
    """A machine of sites.yml: `local` means the machine that the remediator itself runs on."""

    name: str
    ssh: SshSettings | None = None
    linode: int | None = None
    may_reboot: bool = False
    may_boot: bool = False
    local: bool = False
    docker_api: DockerApi | None = None
    """Only for watching; nothing is healed through it."""


@dataclass(frozen=True)
class CommandResult:
    """What a command left: `exit_status` −1 means that the connection was lost and the outcome is unknown."""

    exit_status: int
    stdout: str
    stderr: str
    truncated: bool = False


class Closing(Protocol):
    """What closes itself at the end of its block."""

    def close(self) -> None:
        """Close it; never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Connector(Closing, Protocol):
    """A way to run commands on one server."""

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        """Run one argument list for at most `timeout` seconds; raise ActionError(timeout) past it."""
