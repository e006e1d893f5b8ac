"""Are the ports free that Sitemedic will listen on, and if not, who has them."""

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"  # in /proc/net/tcp


@dataclass(frozen=True)
class Port:
    """A port that will be listened on; `setting` is what changes it in .env ("" where nothing does)."""

    number: int
    service: str
    setting: str


def faults(ports: Iterable[Port], host: str = "127.0.0.1") -> list[str]:
    """Return one message for each port that cannot be listened on, saying what to do."""
    found = []
    seen: dict[int, Port] = {}
    for port in ports:
        if other := seen.get(port.number):
            found.append(
                f"port {port.number} is wanted by {other.service} and by {port.service}: "
                f"give {port.setting or port.service} another one in .env"
            )
            continue
        seen[port.number] = port
        if (error := _refused(host, port.number)) is not None:
            found.append(_message(port, error))
    return found


def holder(number: int) -> str | None:
    """Return who listens on TCP port `number`, as "pid 123 (name)", or None where that cannot be seen."""
    inodes = _listening_inodes(number)
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            with suppress(OSError):
                return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def _refused(host: str, number: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            return error
    return None


def _message(port: Port, error: OSError) -> str:
    change = f"set {port.setting} in .env to another port" if port.setting else "start again"
    if error.errno == errno.EADDRINUSE:
        who = holder(port.number) or "another process"
        return f"port {port.number} ({port.service}) is taken by {who}: stop it, or {change}"
    return f"port {port.number} ({port.service}) cannot be used ({error.strerror}): {change}"


def _listening_inodes(number: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == number:
                    inodes.add(columns[9])
    return inodes


def _holds(process: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                link = os.readlink(descriptor)  # noqa: PTH115 – "socket:[123]" is no path
                if link.startswith("socket:[") and link[8:-1] in inodes:
                    return True
    return False
