"""Run commands on a server over SSH, with a pinned host key, one explicit key and a limit on every wait.

paramiko's SSHClient knows one key of a type a host and waits without limit in places; its Transport is used
directly, so that the host is checked here and a watchdog can end any wait by closing the connection.
"""

from __future__ import annotations

import errno
import logging
import select
import shlex
import socket
import threading
import time
from collections.abc import Sequence

import paramiko
from paramiko.pkey import UnknownKeyType

from core.servers.known_hosts import KnownKeys, known_keys, verify
from core.servers.output import CappedOutput
from core.servers.server import ActionError, CommandResult, Connector, Reason, SshSettings
from core.servers.ssh_stream import SshStream

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs tracebacks of what is told here in a line

CONNECT_SECONDS = 5.0
BANNER_SECONDS = 10.0
AUTH_SECONDS = 10.0
WHOLE_CONNECT_SECONDS = 20.0
KEEPALIVE_SECONDS = 15
_LATE_OUTPUT_SECONDS = 1.0
_NO_SIGN_OF_LIFE = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
    }
)
"""What the server, or its absence, does to a connection; every other error is one of this machine."""
_SAYS_NOTHING = frozenset({"No existing session", "Error reading SSH protocol banner"})
"""What paramiko calls it where a connection is taken and nothing is said on it."""


def command_line(argv: Sequence[str]) -> str:
    """Quote an argument list for the server's shell: the only place where that happens."""
    return shlex.join(argv)


class SshConnector(Connector):
    """One connection to one server."""

    def __init__(self, settings: SshSettings) -> None:
        self._where = f"{settings.user}@{settings.host}:{settings.port}"
        self._transport = _open(settings, self._where)

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        """Run one argument list; a connection lost on the way gives exit status −1.

        Raises ActionError: `unreachable` while nothing has been run yet, `timeout` when the command did not
        end (it may go on running over there), `command_failed` when the server runs no commands for us.
        """
        deadline = time.monotonic() + timeout
        with _Watchdog(self._transport, timeout + _LATE_OUTPUT_SECONDS):
            channel = self._channel(timeout)
            try:
                channel.exec_command(command_line(argv).encode())
                channel.shutdown_write()
            except (paramiko.SSHException, OSError, EOFError) as error:
                return self._not_started(error, argv, deadline)
            try:
                return self._drain(channel, argv, deadline)
            finally:
                channel.close()

    def stream(self, argv: Sequence[str], timeout: float) -> SshStream:
        """Start one argument list, within `timeout` seconds, and return its output to be read.

        Raises ActionError as `run` does; where the connection is lost at the start, `unreachable`.
        """
        deadline = time.monotonic() + timeout
        with _Watchdog(self._transport, timeout + _LATE_OUTPUT_SECONDS):
            channel = self._channel(timeout)
            try:
                channel.exec_command(command_line(argv).encode())
            except (paramiko.SSHException, OSError, EOFError) as error:
                self._not_started(error, argv, deadline)
                raise ActionError(
                    f"the SSH connection to {self._where} was lost", reason=Reason.UNREACHABLE
                ) from error
            return SshStream(channel)

    @property
    def alive(self) -> bool:
        """Tell whether the connection has not been seen to end."""
        return bool(self._transport.is_active())

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _channel(self, timeout: float) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=timeout)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ActionError(
                f"the SSH connection to {self._where} was lost before the command",
                reason=Reason.UNREACHABLE,
            ) from error

    def _not_started(self, error: Exception, argv: Sequence[str], deadline: float) -> CommandResult:
        """Tell a refused command from one whose start we did not see."""
        if time.monotonic() >= deadline:
            raise self._too_long(argv) from error
        if not self._transport.is_active():
            return CommandResult(-1, "", "")
        raise ActionError(
            f"{self._where} does not run commands for this key: look at its line in authorized_keys",
            reason=Reason.COMMAND_FAILED,
            permanent=True,
        ) from error

    def _drain(self, channel: paramiko.Channel, argv: Sequence[str], deadline: float) -> CommandResult:
        """Take both streams until the end of the command; unread output would stop it."""
        kept, errors = CappedOutput(), CappedOutput()
        late: float | None = None
        while True:
            if channel.recv_ready():
                kept.add(channel.recv(65536))
            elif channel.recv_stderr_ready():
                errors.add(channel.recv_stderr(65536))
            elif channel.eof_received or channel.closed:
                break
            else:
                if channel.exit_status_ready() and late is None:
                    late = time.monotonic() + _LATE_OUTPUT_SECONDS
                if late is not None and time.monotonic() >= late:
                    break  # ended, but something that it left behind holds the stream open
                select.select([channel], [], [], 0.05)
            if time.monotonic() >= deadline:
                raise self._too_long(argv)
        if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
            raise self._too_long(argv)
        return CommandResult(
            channel.recv_exit_status(), kept.text, errors.text, kept.truncated or errors.truncated
        )

    def _too_long(self, argv: Sequence[str]) -> ActionError:
        return ActionError(
            f"`{' '.join(argv[:2])}` on {self._where} did not end in time", reason=Reason.TIMEOUT
        )


class _Watchdog:
    """Closes the connection when a wait inside paramiko takes too long."""

    def __init__(self, transport: paramiko.Transport, seconds: float) -> None:
        self._timer = threading.Timer(seconds, transport.close)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _open(settings: SshSettings, where: str) -> paramiko.Transport:
    key = _load_key(settings)
    known = known_keys(settings)
    transport = _transport(settings, where)
    try:
        with _Watchdog(transport, WHOLE_CONNECT_SECONDS):
            _prefer(transport, known)
            transport.start_client(timeout=BANNER_SECONDS)
            verify(settings, known, transport.get_remote_server_key())
            transport.auth_publickey(settings.user, key)
        if not transport.is_authenticated():
            raise _refused(where, settings)
    except paramiko.AuthenticationException as error:
        transport.close()
        if not transport.is_active() and "timeout" in str(error).lower():
            raise _unreachable(where, TimeoutError()) from error
        raise _refused(where, settings) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        raise _unreachable(where, error) from error
    except ActionError:
        transport.close()
        raise
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return transport


def _transport(settings: SshSettings, where: str) -> paramiko.Transport:
    try:
        sock = socket.create_connection((settings.host, settings.port), timeout=CONNECT_SECONDS)
    except OSError as error:
        raise _unreachable(where, error) from error
    try:
        transport = paramiko.Transport(sock)
    except (paramiko.SSHException, OSError) as error:
        sock.close()
        raise _unreachable(where, error) from error
    transport.banner_timeout = BANNER_SECONDS
    transport.auth_timeout = AUTH_SECONDS
    transport.channel_timeout = AUTH_SECONDS
    return transport


def _prefer(transport: paramiko.Transport, known: KnownKeys) -> None:
    """Ask the server for a kind of host key that we know, so that a second kind is no surprise."""
    options = transport.get_security_options()
    names = {key.get_name() for key in known.trusted}
    if "ssh-rsa" in names:
        names |= {"rsa-sha2-512", "rsa-sha2-256"}
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in names)


def _load_key(settings: SshSettings) -> paramiko.PKey:
    path = settings.key_file
    if path is None:
        problem = f"no SSH key for {settings.host}: set ssh.key_file in sites.yml"
        raise ActionError(problem, reason=Reason.AUTH, permanent=True)
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError) as error:
        problem = f"{path} has a passphrase, which nobody is here to type: use a key without one"
        raise ActionError(problem, reason=Reason.AUTH, permanent=True) from error
    except OSError as error:
        problem = f"cannot read the SSH key {path}: {error.strerror}"
        raise ActionError(problem, reason=Reason.AUTH, permanent=True) from error
    except (paramiko.SSHException, UnknownKeyType, ValueError) as error:
        problem = f"{path} is not a usable SSH private key: make one with ssh-keygen -t ed25519"
        raise ActionError(problem, reason=Reason.AUTH, permanent=True) from error


def _refused(where: str, settings: SshSettings) -> ActionError:
    return ActionError(
        f"{where} does not accept the key {settings.key_file}: put its .pub line into authorized_keys there",
        reason=Reason.AUTH,
        permanent=True,
    )


def _unreachable(where: str, error: Exception) -> ActionError:
    """Say why there is no connection, and whether that is a word about the server: a reboot hangs on it."""
    reason = Reason.UNREACHABLE if _no_sign_of_life(error) else Reason.CANNOT_TELL
    return ActionError(f"no SSH to {where}: {_plain(error)}", reason=reason)


def _no_sign_of_life(error: Exception) -> bool:
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return False
    if not isinstance(error, OSError) or isinstance(error, TimeoutError | ConnectionError):
        return True
    return error.errno in _NO_SIGN_OF_LIFE


def _plain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if str(error) in _SAYS_NOTHING:
        return "the port is open, but nothing behind it speaks SSH in time"
    return str(error) or "the connection was closed"
