"""`sitemedic dev campaign`."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from stack.campaign.database import is_sqlite, read
from stack.campaign.faults import FAULTS
from stack.campaign.history import History
from stack.campaign.lab import Lab, running_lab
from stack.campaign.plan import AS_ROOT, NONE, OUTAGES, Wanted, draw
from stack.campaign.process import LAUNCHER
from stack.campaign.report import About, Report, lines, report
from stack.campaign.run import Run

STOPPED = "ended before its time"


@click.command("campaign", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--incidents", type=click.IntRange(1, 100_000), default=300, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Draws the outages and the faults.")
@click.option("--outage", "outages", multiple=True, type=click.Choice([*OUTAGES]), help="Only this one.")
@click.option("--fault", "faults", multiple=True, type=click.Choice([*FAULTS, NONE]), help="Only this one.")
@click.option(
    "--storage.url", "storage_url", envvar="CAMPAIGN_STORAGE_URL",
    help="An empty PostgreSQL database; default: SQLite. With a password: CAMPAIGN_STORAGE_URL.",
)  # fmt: skip
@click.option("--within", default=300.0, show_default=True, help="Seconds within which an outage must end.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the summary here.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs, sites.yml and the ledger here.")
@click.option("--launcher", default=" ".join(LAUNCHER), hidden=True, help="How the remediator is started.")
def campaign_command(
    incidents: int, seed: int, outages: tuple[str, ...], faults: tuple[str, ...], storage_url: str | None,
    within: float, json_file: Path | None, keep: Path | None, launcher: str,
) -> None:  # fmt: skip
    """Torment the real remediator in a lab, and check from the lab's ledger what it did.

    Outages and faults come by chance out of the seed: the process is killed, notifications come twice and
    out of order, SSH, Docker and Linode fail and lie, the database is locked, the clock is set. Ends with
    status 1 where an invariant was broken. docs/campaign.md.
    """
    wanted = Wanted(incidents, seed, outages, faults)
    with tempfile.TemporaryDirectory(prefix="sitemedic-campaign-") as made:
        folder = Path(keep or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with running_lab(folder, storage_url, within, launcher.split()) as lab:
            note = _play(lab, wanted)
            lab.stopping.set()
            lab.process.end()
            found, history = _judge(lab, wanted, note)
        if keep:
            entries = "\n".join(str(one) for one in lab.ledger.entries())
            (folder / "ledger").write_text(f"{entries}\n", encoding="utf-8")
    for line in lines(found, history):
        click.echo(line)
    if json_file:
        json_file.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    sys.exit(130 if note == STOPPED else 1 if found.broken else 0)


def _play(lab: Lab, wanted: Wanted) -> str:
    """Play the plan; return a note where it did not come to its end, or could not be whole."""
    full = lab.disk.can_be_full and is_sqlite(lab.storage_url)
    plan = draw(replace(wanted, without=() if full else AS_ROOT))
    try:
        Run(lab, plan, wanted.seed, lambda line: click.echo(line, err=True)).play()
    except KeyboardInterrupt:
        return STOPPED
    return "" if full else "without disk_full, which needs root and SQLite"


def _command(wanted: Wanted, storage_url: str) -> str:
    words = ["./sitemedic dev campaign", f"--incidents {wanted.incidents}", f"--seed {wanted.seed}"]
    words += [f"--outage {one}" for one in wanted.outages] + [f"--fault {one}" for one in wanted.faults]
    return " ".join(words if is_sqlite(storage_url) else [*words, "--storage.url …"])


def _judge(lab: Lab, wanted: Wanted, note: str) -> tuple[Report, History]:
    places = {site: server.name for site, (server, _) in lab.world.places.items()}
    history = History(lab.ledger, places)
    url = lab.storage_url
    about = About(wanted.seed, "SQLite" if is_sqlite(url) else "PostgreSQL", _command(wanted, url), note)
    return report(history, read(url), about, over=note != STOPPED), history
