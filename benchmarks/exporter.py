"""Our exporter beside blackbox_exporter: `python -m benchmarks.exporter`.

CPU per probe in one run and window by window in turn: our scheduled sites (scheduling, results and scrapes
included), blackbox_exporter's /probe and ours, libcurl alone; names; TLS; then how true durations are.
"""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import uvloop

from benchmarks.accuracy import HANGING_SHARES, accuracy
from benchmarks.connection import AnswerError
from benchmarks.costs import Plan, alone_and_closed, by_names, by_size, over_tls
from benchmarks.peers import blackbox_version, peers
from benchmarks.processes import ProcessError
from benchmarks.report import Accuracy, Run, Sample, table

SIZES = (10, 100, 1_000, 10_000)
_COSTS = {"sizes": by_size, "alone": alone_and_closed, "names": by_names, "https": over_tls}
_ACCURACY = "accuracy"
MEASURES = (*_COSTS, _ACCURACY)


async def measure(plan: Plan, measures: Sequence[str], folder: Path) -> Run:
    """Measure everything in `plan`. Raises AnswerError and ProcessError."""
    _end_on_sigterm()
    samples: list[Sample] = []
    accuracies: list[Accuracy] = []
    with peers(folder) as running:
        for _ in range(plan.rounds):
            for name, costs in _COSTS.items():
                if name in measures:
                    samples += [_told(sample) async for sample in costs(running, plan)]
        if "names" in measures and running.resolv_conf is None:
            click.echo("names are left out: to serve them takes root", err=True)
        if _ACCURACY in measures:
            accuracies = [await accuracy(plan, folder, share) for share in HANGING_SHARES]
        return Run(running.target.name, blackbox_version(), tuple(samples), tuple(accuracies))


def _end_on_sigterm() -> None:
    """Have SIGTERM end this task, and with it the processes that it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _told(sample: Sample) -> Sample:
    cost = sample.cpu_per_probe * 1e6
    click.echo(
        f"{sample.kind}, {sample.sites:,} sites: {cost:,.0f} µs/probe, load {sample.load:.1f}", err=True
    )
    return sample


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
@click.option(
    "--only",
    "measures",
    type=click.Choice(MEASURES),
    multiple=True,
    callback=lambda _, __, value: value or MEASURES,
    help="Measure this alone; may be given more than once.  [default: all]",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all here.")
def main(
    seconds: float, rate: float, sizes: tuple[int, ...], rounds: int, warm_up: float,
    measures: tuple[str, ...], json_file: Path | None,
) -> None:  # fmt: skip
    """Measure our exporter beside blackbox_exporter: CPU per probe, memory, scrapes, lateness, accuracy."""
    plan = Plan(seconds, rate, sizes, rounds, warm_up)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            run = runner.run(measure(plan, measures, Path(folder)))
    except (AnswerError, ProcessError) as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    if json_file is not None:
        json_file.write_text(json.dumps(run.json(), indent=2) + "\n", "utf-8")
    click.echo(f"Target: {run.target}; blackbox_exporter {run.blackbox_exporter}.\n\n{table(run)}", nl=False)


if __name__ == "__main__":
    main()
