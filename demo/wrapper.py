"""What the demo server's `sitemedic-wrapper` answers: the verbs with which the exporter watches containers.

The answers have the shape of the real one's (remediator/on_server/sitemedic-wrapper, version 2). The figures
are those of the container's own process, told as the files of a cgroup of version 2.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from demo.container import Container
from demo.docker_cli import Answer
from demo.figures import Figures, figures_of

VERSION = 2
HEAD = f"sitemedic-wrapper {VERSION}\n"
EVENTS = "events"
_REFUSED = 126
_MICRO = 1_000_000


def run(argv: Sequence[str], container: Container) -> Answer:
    """Answer one verb; `events` has no end and is told elsewhere (demo/control.py)."""
    if list(argv) == ["check"]:
        return Answer(stdout=f"{HEAD}container {container.name}\n")
    if list(argv) == ["containers"]:
        return Answer(stdout=f"{HEAD}{json.dumps(container.record())}\n")
    if list(argv) == ["usage"]:
        return Answer(stdout=HEAD + _usage(container))
    if list(argv) == ["machine"]:
        return Answer(stdout=HEAD + _machine())
    words = "this demo's wrapper knows check, containers, usage, machine and events"
    return Answer(_REFUSED, "", f"sitemedic-wrapper: refused: {words}\n")


def _usage(container: Container) -> str:
    uptime = _uptime()
    told = f"now {time.time():.0f} {uptime}\n"
    if not container.running:
        return told
    figures = figures_of(container.pid)
    return f"{told}= {container.id} {_uptime()}\n" + "".join(f"{line}\n" for line in _lines(figures))


def _lines(figures: Figures) -> Sequence[str]:
    cpu = {
        "usage_usec": figures.user + figures.system,
        "user_usec": figures.user,
        "system_usec": figures.system,
    }
    return (
        *(f"cpu.stat {name} {round(seconds * _MICRO)}" for name, seconds in cpu.items()),
        f"memory.current {figures.memory}",
        f"memory.stat anon {figures.anonymous}",
        f"memory.stat file {figures.file}",
        "memory.stat inactive_file 0",
        f"io.stat 0:0 rbytes={figures.read} wbytes={figures.written}",
        f"pids.current {figures.threads}",
    )


def _machine() -> str:
    return f"machine {os.cpu_count()} {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')}\n"


def _uptime() -> str:
    return Path("/proc/uptime").read_text(encoding="ascii").split()[0]
