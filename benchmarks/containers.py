"""What watching containers costs: `sitemedic dev bench containers`.

A real Docker engine of its own with 1, 10 and 100 containers at rest, asked for their list and their usage:
over its socket, over its API alone (without the kernel's files, as over TCP), and over SSH by the wrapper.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.containers_report import Run, Sample, table
from core.servers.server import DockerApi
from exporter.containers.cgroup_files import CgroupFiles
from exporter.containers.engine_api import EngineApi
from exporter.containers.model import Source, SourceError
from exporter.containers.over_ssh import OverSsh
from tests.docker_engine import DockerEngine, running_engine
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, running_ssh_server

_TICKS = os.sysconf("SC_CLK_TCK")
_STARTED_AT_ONCE = 4
WAYS = ("socket", "API only", "SSH")


@dataclass(frozen=True)
class Place:
    """An engine, and an sshd with the wrapper before it."""

    engine: DockerEngine
    ssh: SshServer

    def source(self, way: str) -> Source:
        """Return a source that asks this way."""
        if way == "SSH":
            return OverSsh("bench", self.ssh.settings, 60)
        files = CgroupFiles() if way == "socket" else None
        return EngineApi("bench", DockerApi(self.engine.host), 60, files)

    def server_cpu(self) -> tuple[float, float]:
        """Return the CPU seconds so far of the engine, and of sshd with all that it has run."""
        assert self.ssh.process is not None
        return _cpu(self.engine.process.pid), _cpu(self.ssh.process.pid)


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine())
        wrapped = Wrapped(folder / "wrapper")
        wrapped.allow("watch *", f"docker_host {engine.host}")
        # A home without a .bashrc: the user of `server setup` has none, root's may take a tenth of a second
        ssh = stack.enter_context(running_ssh_server(folder / "ssh", {"HOME": str(folder)}))
        public = ssh.key_file.with_suffix(".pub").read_text()
        (ssh.folder / "authorized_keys").write_text(wrapped.line(public))
        yield Place(engine, ssh)


def _fill(engine: DockerEngine, number: int) -> None:
    """Start containers until there are that many."""
    there = len(engine.docker("ps", "--quiet").split())
    names = [f"bench-{one:03}" for one in range(there, number)]
    with ThreadPoolExecutor(_STARTED_AT_ONCE) as threads:
        list(threads.map(lambda name: engine.run(name, "--memory", "64m"), names))


async def _measured(place: Place, way: str, number: int, rounds: int) -> list[Sample]:
    source = place.source(way)
    try:
        first = await source.containers()  # connects, and asks for every container's details
        ids = [one.id for one in first]
        if len(ids) != number or len(await source.usage(ids)) != number:
            raise click.ClickException(f"{way}: {len(ids)} containers are seen, {number} run")
        return [
            await _window(place, way, "list", number, rounds, source.containers),
            await _window(place, way, "usage", number, rounds, lambda: source.usage(ids)),
        ]
    finally:
        await source.close()


async def _window(
    place: Place, way: str, call: str, number: int, rounds: int, ask: Callable[[], Awaitable[object]]
) -> Sample:
    """Ask again and again, and hold the CPU time of everybody involved against it."""
    before, own, begun = place.server_cpu(), time.process_time(), time.monotonic()
    for _ in range(rounds):
        await ask()
    took, spent, after = time.monotonic() - begun, time.process_time() - own, place.server_cpu()
    return Sample(
        way=way,
        call=call,
        containers=number,
        rounds=rounds,
        requests=number if (way, call) == ("API only", "usage") else _requests(way, call),
        exporter_cpu=spent / rounds,
        engine_cpu=(after[0] - before[0]) / rounds,
        ssh_cpu=(after[1] - before[1]) / rounds,
        seconds=took / rounds,
        load=os.getloadavg()[0],
    )


def _requests(way: str, call: str) -> int:
    """Return how often the engine or the server is asked for one answer, while nothing changes."""
    return 0 if (way, call) == ("socket", "usage") else 1


def _cpu(pid: int) -> float:
    """Return the CPU seconds so far of a process, of those below it, and of what they have waited for."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = sum(int(ticks) for ticks in fields[11:15]) / _TICKS
    total, rest = 0.0, [pid]
    while rest:
        one = rest.pop()
        total += used.get(one, 0.0)
        rest += parents.get(one, [])
    return total


def measure(sizes: Sequence[int], rounds: int, folder: Path) -> Run:
    """Measure every way at every size, smallest first."""
    samples: list[Sample] = []
    with _place(folder) as place:
        for number in sorted(sizes):
            begun = time.monotonic()
            _fill(place.engine, number)
            click.echo(f"{number} containers run after {time.monotonic() - begun:.0f} s", err=True)
            for way in WAYS:
                for sample in asyncio.run(_measured(place, way, number, rounds)):
                    samples.append(sample)
                    click.echo(sample.line(), err=True)
    return Run(tuple(samples))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--containers", "sizes", type=click.IntRange(1, 500), multiple=True,
    help="How many run; may be given more than once.  [default: 1, 10, 100]",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="How often each is asked."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all here.")
def main(sizes: tuple[int, ...], rounds: int, json_file: Path | None) -> None:
    """Measure what watching containers costs: needs root, dockerd, busybox and sshd."""
    if os.geteuid() != 0:
        raise click.ClickException("a Docker engine of its own needs root")
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
            run = measure(sizes or (1, 10, 100), rounds, Path(place))
    except (OSError, AssertionError, subprocess.SubprocessError, SourceError) as error:
        raise click.ClickException(f"the engine, sshd or a container did not do its part: {error}") from error
    if json_file is not None:
        json_file.write_text(json.dumps(run.json(), indent=2) + "\n", "utf-8")
    click.echo(table(run), nl=False)


if __name__ == "__main__":
    sys.exit(main())
