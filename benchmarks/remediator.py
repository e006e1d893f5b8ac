"""The remediator under load: `sitemedic dev bench remediator`.

The real process with a database of its own on disk, in turn: notifications while nothing, much that is held
back, and much that is worked on is open; storms; from the webhook to `docker restart`; and CPU at rest.
"""

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.processes import ProcessError
from benchmarks.remediator_measures import Plan, disk, notifications, resting, storm, to_restart
from benchmarks.remediator_report import Run, Sample, table

MEASURES: dict[str, Callable[[Plan, Path], Iterator[Sample]]] = {
    "notifications": notifications,
    "storm": storm,
    "restart": to_restart,
    "rest": resting,
}


@dataclass(frozen=True)
class _Told:
    """Says each figure as soon as it is there."""

    samples: list[Sample]

    def take(self, sample: Sample) -> None:
        self.samples.append(sample)
        click.echo(sample.line(), err=True)


def measure(plan: Plan, only: Sequence[str], rounds: int, folder: Path) -> Run:
    """Measure everything in `plan`, each time on a remediator of its own. Raises ProcessError."""
    told = _Told([])
    for number in range(rounds):
        told.take(disk(folder))
        for name, measured in MEASURES.items():
            if only and name not in only:
                continue
            place = folder / f"{number}-{name}"
            place.mkdir()
            for sample in measured(plan, place):
                told.take(sample)
    return Run(tuple(told.samples))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--rounds", type=click.IntRange(min=1), default=1, show_default=True, help="How often all is measured."
)
@click.option(
    "--only",
    type=click.Choice(list(MEASURES)),
    multiple=True,
    help="Measure only this; may be given more than once.",
)
@click.option(
    "--posts", type=click.IntRange(min=2), default=400, show_default=True, help="Notifications of one alert."
)
@click.option(
    "--many-posts",
    type=click.IntRange(min=2),
    default=15,
    show_default=True,
    help="Notifications of 200 alerts.",
)
@click.option(
    "--incidents", type=click.IntRange(min=1), default=1000, show_default=True, help="Open while measuring."
)
@click.option(
    "--storm", "storms", type=click.IntRange(min=1), multiple=True,
    help="Sites that fail at once; may be given more than once.  [default: 1000, 5000]",
)  # fmt: skip
@click.option(
    "--restarts", type=click.IntRange(min=1), default=15, show_default=True, help="Healed over SSH."
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=15, show_default=True, help="A window of CPU at rest."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all here.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the databases are; the system's folder for temporary files where nothing is said.",
)  # fmt: skip
def main(
    rounds: int, only: tuple[str, ...], posts: int, many_posts: int, incidents: int, storms: tuple[int, ...],
    restarts: int, seconds: float, json_file: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Measure the remediator: notifications, storms, time to act, CPU at rest."""
    plan = Plan(posts, many_posts, incidents, storms or (1000, 5000), restarts, seconds)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and end what was started
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=folder) as place:
            run = measure(plan, only, rounds, Path(place))
    except ProcessError as error:
        raise click.ClickException(str(error)) from error
    if json_file is not None:
        json_file.write_text(json.dumps(run.json(), indent=2) + "\n", "utf-8")
    click.echo(table(run), nl=False)


if __name__ == "__main__":
    main()
