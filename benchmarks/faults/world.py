"""All behaviours at once: their servers, opened; in this process, or in one of their own (`python -m`)."""

import json
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.behaviour import AUTHORITY, Behaviour, Place
from benchmarks.faults.certificates import contexts
from benchmarks.faults.grpc import GRPC
from benchmarks.faults.http import HTTP
from benchmarks.faults.https import HTTPS
from benchmarks.faults.name_server import odd_server
from benchmarks.faults.names import DNS
from benchmarks.faults.peer import Speakers
from benchmarks.faults.pings import ICMP
from benchmarks.faults.streams import TCP, TLS, UNIX
from benchmarks.processes import free_port, running

PROTOCOLS: Mapping[str, Mapping[str, Behaviour]] = {
    "http": HTTP,
    "https": HTTPS,
    "tcp": TCP,
    "tls": TLS,
    "dns": DNS,
    "icmp": ICMP,
    "grpc": GRPC,
    "unix": UNIX,
}
BEHAVIOURS: Mapping[str, Behaviour] = {
    f"{protocol}.{name}": behaviour
    for protocol, behaviours in PROTOCOLS.items()
    for name, behaviour in behaviours.items()
}
"""Every behaviour, as `http.hangs`."""


@dataclass(frozen=True)
class Opened:
    """A behaviour that happens now: where to probe it, and with which module."""

    target: str
    module: dict[str, Any]


@contextmanager
def opened(seed: int, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[dict[str, Opened]]:
    """Let the `wanted` behaviours happen until the block ends; what is by chance comes out of `seed`."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))  # short: the path of a socket has 107 bytes
    speakers = Speakers()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        names = stack.enter_context(odd_server())
        made = contexts(folder)
        found = {}
        for name, behaviour in BEHAVIOURS.items():
            if wanted(name):
                place = Place(folder, made, names, speakers, stack, random.Random(f"{seed} {name}"))
                found[name] = _open(behaviour, place)
        stack.enter_context(speakers)
        yield found


def _open(behaviour: Behaviour, place: Place) -> Opened:
    target = behaviour.target.format(behaviour.opens(place))
    options = json.dumps(dict(behaviour.options)).replace(AUTHORITY, str(place.folder / "authority.pem"))
    return Opened(target, {"prober": behaviour.prober, behaviour.prober: json.loads(options)})


@contextmanager
def elsewhere(seed: int, folder: Path, wanted: Sequence[str] = ()) -> Iterator[dict[str, Opened]]:
    """Let it happen in a process of its own; `wanted` are beginnings of names, none: all.

    Raises ProcessError.
    """
    file, port = folder / "faults.json", free_port()
    command = [sys.executable, "-m", "benchmarks.faults.world", str(file), str(port), str(seed), *wanted]
    with running("faults", command, port, folder):
        yield {name: Opened(**one) for name, one in json.loads(file.read_text("utf-8")).items()}


def main(file: Path, port: int, seed: int, wanted: tuple[str, ...]) -> None:
    """Open what happens on any machine, write it to `file`, listen, and wait for SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    threading.stack_size(256 * 1024)  # hundreds of them
    with socket.socket() as ready:
        ready.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ready.bind(("127.0.0.1", port))  # before the others could get it
        with opened(seed, lambda name: BEHAVIOURS[name].here and name.startswith(wanted or "")) as found:
            file.write_text(json.dumps({name: vars(one) for name, one in found.items()}), "utf-8")
            ready.listen()
            ended.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), tuple(sys.argv[4:]))
