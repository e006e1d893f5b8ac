"""Groups of commands that stand in a table and are imported when they are called."""

import importlib
import signal
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import click

from stack.errors import StackError

Table = Mapping[str, tuple[str, str]]
"""name → where it is (`module:attribute`), and its line in --help, so that --help imports nothing."""

_INTERRUPTED = 128 + signal.SIGINT
"""The exit status after Ctrl-C, as shells have it."""

_NOT_IN_THE_IMAGE = ("demo", "benchmarks")


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports a command only when it is called."""

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(_imported(module, cmd_name), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as error:
            if isinstance(error, click.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
                raise  # what was asked had no answer: the input has ended
            click.echo("\nAborted!", err=True)
            ctx.exit(_INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])


def _imported(module: str, command: str) -> ModuleType:
    """Import a command's module. Raises StackError where Docker's image leaves its parts out."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NOT_IN_THE_IMAGE:
            raise
        raise StackError(
            f"`{command}` is not part of Docker's image: run ./sitemedic {command} where the project lies"
        ) from error
