"""`sitemedic dev`: for those who work on Sitemedic itself. Commands are imported when they are called."""

import click

from stack.lazy_group import LazyGroup

COMMANDS = {
    "bench": ("stack.dev_cli:bench_group", "Measure it on this machine; see docs/benchmarks.md."),
    "campaign": (
        "stack.campaign.campaign_cli:campaign_command",
        "Torment the remediator in a lab; see docs/campaign.md.",
    ),
    "faults": ("benchmarks.faults.faults_cli:main", "Torment the exporter; see docs/reliability.md."),
}
BENCHMARKS = {
    "exporter": ("benchmarks.exporter:main", "CPU per probe, beside blackbox_exporter."),
    "remediator": ("benchmarks.remediator:main", "Notifications, storms, time to act, CPU at rest."),
    "containers": ("benchmarks.containers:main", "Watching 1, 10 and 100 containers, by each way."),
}


@click.group("dev", cls=LazyGroup, table=COMMANDS)
def dev_group() -> None:
    """Measure and torment Sitemedic itself."""


@click.group("bench", cls=LazyGroup, table=BENCHMARKS)
def bench_group() -> None:
    """Measure it on this machine; see docs/benchmarks.md."""
