"""`sitemedic dev campaign`."""

import json
import sys
import tempfile
from pathlib import Path

import click

from stack.campaign.database import is_sqlite, read
from stack.campaign.history import History
from stack.campaign.lab import Lab, running_lab
from stack.campaign.plan import AS_ROOT, draw
from stack.campaign.process import LAUNCHER
from stack.campaign.report import Report, lines, report
from stack.campaign.run import Run


@click.command("campaign", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--incidents", type=click.IntRange(1, 100_000), default=300, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Draws the outages and the faults.")
@click.option("--storage.url", "storage_url", help="An empty PostgreSQL database; default: SQLite.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the summary here.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs, sites.yml and the ledger here.")
@click.option("--launcher", default=" ".join(LAUNCHER), hidden=True, help="How the remediator is started.")
def campaign_command(
    incidents: int,
    seed: int,
    storage_url: str | None,
    json_file: Path | None,
    keep: Path | None,
    launcher: str,
) -> None:
    """Torment the real remediator in a lab, and check from the lab's ledger what it did.

    Outages and faults come by chance out of the seed: the process is killed, notifications come twice and
    out of order, SSH, Docker and Linode fail and lie, the database is locked, the clock is set. Ends with
    status 1 where an invariant was broken. docs/campaign.md.
    """
    with tempfile.TemporaryDirectory(prefix="sitemedic-campaign-") as made:
        folder = Path(keep or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        command = f"./sitemedic dev campaign --incidents {incidents} --seed {seed}"
        command += " --storage.url …" if storage_url else ""
        with running_lab(folder, storage_url, launcher.split()) as lab:
            ended = _play(lab, incidents, seed)
            lab.stopping.set()
            lab.process.end()
            found, history = _judge(lab, seed, command, "" if ended else "ended before its time")
        if keep:
            entries = "\n".join(str(one) for one in lab.ledger.entries())
            (folder / "ledger").write_text(f"{entries}\n", encoding="utf-8")
    for line in lines(found, history):
        click.echo(line)
    if json_file:
        json_file.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    sys.exit(130 if not ended else 1 if found.broken else 0)


def _play(lab: Lab, incidents: int, seed: int) -> bool:
    """Play the plan; tell whether it came to its end."""
    without = () if lab.disk.can_be_full and is_sqlite(lab.storage_url) else AS_ROOT
    try:
        Run(lab, draw(incidents, seed, without), seed, lambda line: click.echo(line, err=True)).play()
    except KeyboardInterrupt:
        return False
    return True


def _judge(lab: Lab, seed: int, command: str, note: str) -> tuple[Report, History]:
    places = {site: server.name for site, (server, _) in lab.world.places.items()}
    history = History(lab.ledger, places)
    storage = "SQLite" if is_sqlite(lab.storage_url) else "PostgreSQL"
    return report(history, read(lab.storage_url), seed, storage, command, note), history
