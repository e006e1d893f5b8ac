"""`sitemedic dev`: for those who work on Sitemedic itself. Commands are imported when they are called."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

# name → where it is, and its line in --help
COMMANDS = {
    "bench": ("stack.dev_cli:bench_group", "Measure it on this machine; see docs/benchmarks.md."),
    "campaign": (
        "stack.campaign.campaign_cli:campaign_command",
        "Torment the remediator in a lab; see docs/campaign.md.",
    ),
}
BENCHMARKS = {
    "exporter": ("benchmarks.exporter:main", "CPU per probe, beside blackbox_exporter."),
    "remediator": ("benchmarks.remediator:main", "Notifications, storms, time to act, CPU at rest."),
}


class _Listed(click.Group):
    """A group whose commands stand in a table like those above."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])


@click.group("dev", cls=_Listed, table=COMMANDS)
def dev_group() -> None:
    """Measure and torment Sitemedic itself."""


@click.group("bench", cls=_Listed, table=BENCHMARKS)
def bench_group() -> None:
    """Measure it on this machine; see docs/benchmarks.md."""
