"""The way to an engine's API, and what it means when that fails."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from core.servers.server import DockerApi
from exporter.containers.docker_json import printable
from exporter.containers.model import Reason, SourceError

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_NOT_TAKEN = re.compile("_ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)")
"""What TLS calls it where the other side does not take our certificate, or wants one."""


def connector(name: str, address: DockerApi, at_once: int) -> aiohttp.BaseConnector:
    """Return a way to the engine, connecting to nothing; raise SourceError where its files are no good."""
    parts = urlsplit(address.url)
    if parts.scheme == "unix":
        return aiohttp.UnixConnector(parts.path, limit=at_once)
    context = _tls(name, address) if encrypted(address) else True
    return aiohttp.TCPConnector(ssl=context, limit=at_once, socket_factory=_kept_alive)


def _kept_alive(place: tuple[Any, ...]) -> socket.socket:
    """Make a socket that notices when nobody is there any more: a stream of events is quiet for hours."""
    made = socket.socket(place[0], place[1], place[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def encrypted(address: DockerApi) -> bool:
    """Tell whether TLS is spoken there."""
    return any((address.ca_file, address.cert_file, address.key_file))


def _tls(name: str, address: DockerApi) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
        if address.cert_file is not None:
            context.load_cert_chain(address.cert_file, address.key_file)
    except (OSError, ValueError) as error:
        files = ", ".join(
            str(path) for path in (address.ca_file, address.cert_file, address.key_file) if path is not None
        )
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = f"the TLS files for Docker on {name} cannot be used ({files}): {why}"
        raise SourceError(text, Reason.REFUSED) from error
    return context


def unreached(name: str, address: DockerApi, error: Exception, answered: bool) -> SourceError:
    """Tell who is to blame that there is no answer, and what to look at.

    With TLS 1.3 an engine that takes no client without a good certificate says so after the handshake, when
    it is already being asked, or just hangs up.
    """
    cause = getattr(error, "os_error", None) or error
    where = f"Docker on {name} ({address.url})"
    tls = _of_tls(error)
    said = getattr(tls, "reason", None) or ""
    if _NOT_TAKEN.search(said):
        text = f"{where} does not take our certificate ({said})"
        mend = "has cert_file expired, and is it signed by an authority of the engine's --tlscacert?"
        return SourceError(f"{text}: {mend}", Reason.REFUSED)
    if tls is not None or (encrypted(address) and not answered and _hung_up(error)):
        text = (
            f"{where}: TLS failed ({tls or cause}): look at ca_file, cert_file, key_file, and the name in url"
        )
        return SourceError(text, Reason.REFUSED)
    if isinstance(cause, PermissionError):
        text = f"{where}: permission denied: let this user into the socket's group (docker)"
        return SourceError(text, Reason.REFUSED)
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return SourceError(f"{where} does not run: nobody listens there", Reason.ENGINE_DOWN)
    if isinstance(error, aiohttp.ClientConnectorError):
        text = f"no connection to {where}: {getattr(cause, 'strerror', None) or cause}"
        return SourceError(text, Reason.UNREACHABLE)
    if isinstance(error, aiohttp.ClientResponseError):
        text = f"{where} answers something that is not HTTP: is it Docker that listens there?"
        return SourceError(text, Reason.GARBLED)
    text = f"{where} closed the connection ({printable(str(error)) or type(error).__name__}): was it stopped?"
    return SourceError(text, Reason.ENGINE_DOWN)


def _of_tls(error: BaseException | None) -> ssl.SSLError | None:
    """Return the error of TLS behind an error: aiohttp makes one of its own of what ends a connection.

    An end without a goodbye is none: that is how an engine ends that was killed.
    """
    while error is not None:
        cause = getattr(error, "os_error", None) or error
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return cause
        error = error.__cause__
    return None


def _hung_up(error: Exception) -> bool:
    """Tell whether the other side ended a connection that there was."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    if getattr(error, "errno", None) in (errno.ECONNRESET, errno.EPIPE):
        return True
    ended = aiohttp.ServerDisconnectedError | ConnectionError | ssl.SSLEOFError
    return isinstance(error, ended) or isinstance(error.__cause__, ended)
