"""`sitemedic dev faults`."""

import json
import signal
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.faults.campaign import CampaignError, Outcome, Plan, run
from benchmarks.faults.report import complaints, figures, lines
from benchmarks.faults.table import TableError
from benchmarks.processes import ProcessError


def _progress(outcome: Outcome) -> None:
    ledger, sample = outcome.ledger, outcome.watch.samples[-1]
    told = (
        f"{ledger.probes:,} of {outcome.plan.probes:,} probes, {ledger.other} with another reason, "
        f"{sample.resident_bytes / (1 << 20):.0f} MB, {sample.descriptors} descriptors"
    )
    if sys.stderr.isatty():
        click.echo(f"\r{told}   ", nl=False, err=True)
    elif len(outcome.watch.samples) % 30 == 0:
        click.echo(told, err=True)


@click.command("faults", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--probes", type=click.IntRange(1, 10_000_000), default=100_000, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(1, 5_000), default=220, show_default=True, help="Probes a second."
)
@click.option(
    "--reloads", type=click.IntRange(0, 10_000), default=200, show_default=True,
    help="Reloads of the storm in mid-campaign; each tenth file is broken.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Draws the noise, and who goes.")
@click.option("--only", multiple=True, help="Only behaviours that begin so: http.hangs, tls.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all here.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and results here.")
def main(
    probes: int, rate: float, reloads: int, seed: int, only: tuple[str, ...], json_file: Path | None,
    keep: Path | None,
) -> None:  # fmt: skip
    """Torment the exporter with servers that reset, hang, drip, flood and send garbage.

    Each probe must have the reason that docs/reasons.md says; memory, descriptors, lateness and the sites
    beside are watched, and its configuration is rewritten in mid-campaign. Ends with status 1 where something
    is wrong. docs/reliability.md.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # with all that it started
    with tempfile.TemporaryDirectory(prefix="sitemedic-faults-") as made:
        folder = Path(keep or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            found = figures(run(Plan(probes, rate, reloads, seed, only), folder, _progress))
        except (CampaignError, ProcessError, TableError) as error:
            raise click.ClickException(str(error)) from error
    wrong = complaints(found)
    if json_file is not None:
        json_file.write_text(json.dumps(found | {"wrong": wrong}, indent=1) + "\n", "utf-8")
    if sys.stderr.isatty():
        click.echo(err=True)
    for line in lines(found, wrong):
        click.echo(line)
    sys.exit(1 if wrong else 0)
