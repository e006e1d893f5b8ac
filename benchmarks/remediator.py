"""The remediator under load: `sitemedic dev bench remediator`."""

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure the remediator: notifications, storms, time to act, CPU at rest."""
