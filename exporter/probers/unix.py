"""The unix prober: connect to a socket of this machine, and hold a dialog where there is one."""

import os
from urllib.parse import unquote

from pydantic import ConfigDict

from core.faults import quoted
from core.sites import Options
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.probers.query_response import FAMILIES, Dialog, DialogFacts, QueryResponse, hold, lines
from exporter.probers.stream import Stream
from exporter.probers.tls import TLSConfig
from exporter.target import TargetError

_LONGEST = 107
"""Bytes of a socket's path, as the system has it."""


class UnixOptions(Options):
    """What the unix prober does, under blackbox_exporter's key names."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    query_response: tuple[QueryResponse, ...] = ()
    """What is waited for and what is sent, step by step."""
    tls: bool = False
    """Speak TLS on the connection."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings; a certificate is checked against server_name, for a socket has no name."""

    def complaints(self) -> list[tuple[str, str]]:
        """Say what of these options does not go together, as (key, message)."""
        secure = self.tls or any(step.starttls for step in self.query_response)
        config = self.tls_config
        if secure and not config.server_name and not config.insecure_skip_verify:
            return [("tls_config", "needs server_name or insecure_skip_verify: a path is no name")]
        return []


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Connect to one socket, and fill the reading in. Raises TargetError, FileError."""
    options: UnixOptions = attempt.options
    reading.facts = DialogFacts()
    path = path_of(attempt.target)
    dialog = Dialog(options.query_response, options.tls, options.tls_config, attempt.hostname or "")
    await hold(dialog, lambda: Stream.open_unix(path, attempt.deadline), reading, attempt.log)


def path_of(target: str) -> str:
    """Read `/run/x.sock`, `unix:///run/x.sock` or `@abstract`. Raises TargetError."""
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() != "unix":
        raise TargetError(f"{target!r} must be the path of a socket, or unix:///path")
    path = unquote(rest) if separator else target
    if not path.startswith(("/", "@")) or "\x00" in path:
        raise TargetError(f"{target!r} must be the whole path of a socket: unix:///run/x.sock")
    if len(os.fsencode(path)) > _LONGEST:
        raise TargetError(f"a socket's path has {_LONGEST} bytes at most (got {quoted(target)})")
    return f"\x00{path[1:]}" if path.startswith("@") else path


def _place(target: str) -> Place:
    return Place("", 0, "unix", path_of(target))


UNIX = Prober(
    "unix",
    UnixOptions,
    probe,
    UnixOptions.complaints,
    schemes=("unix",),
    place=_place,
    module="unix",
    families=FAMILIES,
    lines=lines,
    networked=False,
)
