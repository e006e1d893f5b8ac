"""What runs throughout the exporter's benchmark: the servers that are probed, and both that are asked to."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.names import ZONE, asking, can_be_served, serving_names
from benchmarks.processes import Process, ProcessError, free_port, running
from benchmarks.target import AUTHORITY, serving, serving_tls
from stack.programs import find_program

BLACKBOX = "prometheus-blackbox-exporter"
_MODULES = """modules:
  http_2xx: {{prober: http, timeout: 5s}}
  https_2xx: {{prober: http, timeout: 5s, http: {{tls_config: {{ca_file: {authority}}}}}}}
"""


@dataclass(frozen=True)
class Peers:
    """The processes, idle but in their own windows."""

    target: Process
    secure_target: Process
    blackbox: Process
    on_demand: Process
    folder: Path
    """Where files of a run may be."""
    resolv_conf: Path | None
    """Leads to the benchmark's names; None where they cannot be served."""

    @property
    def url(self) -> str:
        """Return the address that is probed; no name, so that nothing is resolved."""
        return f"http://127.0.0.1:{self.target.port}/"

    @property
    def secure_url(self) -> str:
        """Return the same over TLS."""
        return f"https://127.0.0.1:{self.secure_target.port}/"

    def urls(self, count: int) -> list[str]:
        """Return addresses of as many sites."""
        return [f"{self.url}site-{number}" for number in range(count)]

    def named_urls(self, count: int, mute: int = 0) -> list[str]:
        """Return as many sites, each under a name of its own; the first `mute` are asked for in vain."""
        port = self.target.port
        names = (f"mute-{number}" if number < mute else f"site-{number}" for number in range(count))
        return [f"http://{name}.{ZONE}:{port}/" for name in names]


@contextmanager
def peers(folder: Path) -> Iterator[Peers]:
    """Run them all to the end of the block. Raises ProcessError."""
    modules, blackbox = folder / "blackbox.yml", find_program(BLACKBOX)
    modules.write_text(_MODULES.format(authority=folder / AUTHORITY), "utf-8")
    if blackbox is None:
        raise ProcessError(f"{BLACKBOX} is not installed: apt-get install {BLACKBOX}")
    with ExitStack() as stack:
        target, secure = stack.enter_context(serving(folder)), stack.enter_context(serving_tls(folder))
        names = stack.enter_context(serving_names(folder)) if can_be_served() else None
        asked = []
        for name, command in (
            ("blackbox_exporter", (str(blackbox),)),
            ("exporter", (sys.executable, "-m", "exporter")),
        ):
            port = free_port()
            flags = (f"--config.file={modules}", f"--web.listen-address=127.0.0.1:{port}")
            asked.append(stack.enter_context(running(name, asking(names, (*command, *flags)), port, folder)))
        yield Peers(target, secure, asked[0], asked[1], folder, names)


def blackbox_version() -> str:
    """Return the version of the blackbox_exporter that is installed."""
    program = find_program(BLACKBOX)
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    words = (said.stdout or said.stderr).split()
    return words[words.index("version") + 1].rstrip(",")
