"""Our exporter beside blackbox_exporter: `python -m benchmarks.exporter`.

CPU per probe, in one run and window by window in turn, of our scheduled sites (scheduling, results and
scrapes included), of blackbox_exporter's /probe and of our own /probe, both driven open loop.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import uvloop

from benchmarks.connection import AnswerError
from benchmarks.open_loop import OpenLoop
from benchmarks.processes import Process, ProcessError, free_port, running
from benchmarks.report import ON_DEMAND, PEER, SCHEDULED, Run, Sample, table
from benchmarks.scheduled import Schedule, watch, watching
from benchmarks.target import serving
from stack.programs import find_program

SIZES = (10, 100, 1_000, 10_000)
_BLACKBOX = "prometheus-blackbox-exporter"
_MODULES = "modules:\n  http_2xx:\n    prober: http\n    timeout: 5s\n"


@dataclass(frozen=True)
class Plan:
    """What a run measures."""

    seconds: float
    rate: float
    sizes: tuple[int, ...]
    rounds: int
    warm_up: float


@dataclass(frozen=True)
class Peers:
    """What runs throughout: both /probe servers, idle but in their own windows, and what is probed."""

    target: Process
    blackbox: Process
    on_demand: Process

    @property
    def url(self) -> str:
        """Return the address that is probed; no name, so that nothing is resolved."""
        return f"http://127.0.0.1:{self.target.port}/"


async def measure(plan: Plan, folder: Path) -> Run:
    """Measure everything in `plan`. Raises AnswerError and ProcessError."""
    _end_on_sigterm()
    samples: list[Sample] = []
    async with _peers(folder) as peers:
        for _ in range(plan.rounds):
            for sites in plan.sizes:
                schedule = Schedule.of(sites, plan.rate)
                samples.append(await _scheduled(peers, schedule, plan, folder))
                samples.append(await _driven(PEER, peers.blackbox, peers, schedule, plan))
                samples.append(await _driven(ON_DEMAND, peers.on_demand, peers, schedule, plan))
        return Run(peers.target.name, _version(), tuple(samples))


def _end_on_sigterm() -> None:
    """Have SIGTERM end this task, and with it the processes that it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@asynccontextmanager
async def _peers(folder: Path) -> AsyncIterator[Peers]:
    modules = folder / "blackbox.yml"
    modules.write_text(_MODULES, "utf-8")
    program = find_program(_BLACKBOX)
    if program is None:
        raise ProcessError(f"{_BLACKBOX} is not installed: apt-get install {_BLACKBOX}")
    with ExitStack() as stack:
        started = [stack.enter_context(serving(folder))]
        for name, command in (
            ("blackbox_exporter", (str(program),)),
            ("exporter", (sys.executable, "-m", "exporter")),
        ):
            port = free_port()
            flags = (f"--config.file={modules}", f"--web.listen-address=127.0.0.1:{port}")
            started.append(stack.enter_context(running(name, (*command, *flags), port, folder)))
        yield Peers(*started)


async def _scheduled(peers: Peers, schedule: Schedule, plan: Plan, folder: Path) -> Sample:
    async with watching(schedule, peers.url, folder) as process:
        await asyncio.sleep(plan.warm_up)
        found = await watch(process, schedule.sites, plan.seconds)
        return _told(
            Sample(
                SCHEDULED, schedule.sites, schedule.rate,
                resident_bytes=process.resident_bytes(), load=os.getloadavg()[0],
                **asdict(found),
            )
        )  # fmt: skip


async def _driven(kind: str, process: Process, peers: Peers, schedule: Schedule, plan: Plan) -> Sample:
    async with OpenLoop(process, peers.url) as loop:
        await loop.drive(schedule.rate, plan.warm_up)
        found = await loop.drive(schedule.rate, plan.seconds)
    return _told(
        Sample(
            kind, schedule.sites, schedule.rate, **asdict(found),
            resident_bytes=process.resident_bytes(), load=os.getloadavg()[0],
        )
    )  # fmt: skip


def _told(sample: Sample) -> Sample:
    cost = sample.cpu_per_probe * 1e6
    click.echo(
        f"{sample.kind}, {sample.sites:,} sites: {cost:,.0f} µs/probe, load {sample.load:.1f}", err=True
    )
    return sample


def _version() -> str:
    program = find_program(_BLACKBOX)
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    words = (said.stdout or said.stderr).split()
    return words[words.index("version") + 1].rstrip(",")


def _sizes(_: click.Context, __: click.Parameter, value: Sequence[int]) -> tuple[int, ...]:
    return tuple(value) or SIZES


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=click.FloatRange(min=1), default=20, show_default=True, help="One window.")
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=1000,
    show_default=True,
    help="Probes a second, where there are enough sites (a second is the shortest interval).",
)
@click.option(
    "--sites",
    "sizes",
    type=click.IntRange(min=1),
    multiple=True,
    callback=_sizes,
    help="How many sites; may be given more than once.  [default: 10, 100, 1000, 10000]",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often everything is measured; the median counts.",
)
@click.option(
    "--warm-up",
    type=click.FloatRange(min=0.1),
    default=3,
    show_default=True,
    help="Seconds before each window.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all here.")
def main(
    seconds: float, rate: float, sizes: tuple[int, ...], rounds: int, warm_up: float, json_file: Path | None
) -> None:  # fmt: skip
    """Measure our exporter beside blackbox_exporter: CPU per probe, memory, scrapes and lateness."""
    plan = Plan(seconds, rate, sizes, rounds, warm_up)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            run = runner.run(measure(plan, Path(folder)))
    except (AnswerError, ProcessError) as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    if json_file is not None:
        json_file.write_text(json.dumps(run.json(), indent=2) + "\n", "utf-8")
    click.echo(f"Target: {run.target}; blackbox_exporter {run.blackbox_exporter}.\n\n{table(run)}", nl=False)


if __name__ == "__main__":
    main()
