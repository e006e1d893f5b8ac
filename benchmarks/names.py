"""Names for the benchmark: a DNS server of its own, and processes that ask it and no other.

It answers A with 127.0.0.1, for no longer than the moment, so that every probe asks; AAAA with nothing; and
names that begin with `mute-` not at all. Only root can have it: it listens on port 53.
"""

import asyncio
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.processes import free_port, running

ZONE = "benchmark.test"
MUTE = "mute-"
_SERVER = "127.0.0.153"
_BIND = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
_A, _HEADER = 1, 12
_SAYS = 0x8580
"""An answer, authoritative, recursion wanted and had."""
_RECORD = b"\xc0\x0c" + struct.pack("!HHIH4B", _A, 1, 0, 4, 127, 0, 0, 1)
"""The name of the question, an A record for 0 seconds."""


def can_be_served() -> bool:
    """Say whether this process may serve names."""
    return os.geteuid() == 0


@contextmanager
def serving_names(folder: Path) -> Iterator[Path]:
    """Serve names to the end of the block; yields the resolv.conf that leads to them. Raises ProcessError."""
    file, port = folder / "resolv.conf", free_port()
    file.write_text(f"nameserver {_SERVER}\n", "utf-8")
    with running("name server", (sys.executable, "-m", "benchmarks.names", str(port)), port, folder):
        yield file


def asking(file: Path | None, command: Sequence[str]) -> Sequence[str]:
    """Return the command that runs `command` with `file` as its resolv.conf; None: with the machine's own."""
    return command if file is None else ("unshare", "--mount", "sh", "-c", _BIND, str(file), *command)


def answer_to(question: bytes) -> bytes | None:
    """Return the answer to a query of one question, None where there is to be none."""
    if question[_HEADER + 1 :].startswith(MUTE.encode()):
        return None
    end = question.index(b"\0", _HEADER) + 5
    kind = int.from_bytes(question[end - 4 : end - 2], "big")
    records = _RECORD if kind == _A else b""
    header = question[:2] + struct.pack("!5H", _SAYS, 1, bool(records), 0, 0)
    return header + question[_HEADER:end] + records


class _Names(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str | int, int]) -> None:
        answer = answer_to(data)
        if answer is not None:
            self._transport.sendto(answer, address)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_Names, (_SERVER, 53))
    # Nobody asks here: it tells that the names are served.
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
