"""The command line: one group, its commands imported when they are called."""

import importlib
import sys
from pathlib import Path

import click

from core import output
from core.faults import ConfigError
from core.files import unwritable
from stack.errors import StackError
from stack.lazy_group import LazyGroup

COMMANDS = {
    "up": ("stack.up_cli:up_command", "Start everything here, and keep it running until Ctrl-C."),
    "demo": ("stack.demo_cli:demo_command", "Break the running demo site and watch it heal."),
    "stress": ("stack.stress.cli:stress_command", "Put the demo's site under load; tell what is made of it."),
    "init": ("stack.configure.init_cli:init_command", "Write a first sites.yml and .env."),
    "import": (
        "stack.configure.import_cli:import_command",
        "Take over from Prometheus or Uptime Kuma.",
    ),
    "check": ("exporter.checking.check:check_command", "Probe addresses once and tell what they answer."),
    "config": ("stack.configure.config_cli:config_group", "Check sites.yml, show a site's settings."),
    "doctor": ("stack.doctor_cli:doctor_command", "Would healing work right now? Tell each fault's mend."),
    "server": ("stack.server_cli:server_group", "Print what to put on a server."),
    "history": ("stack.history_cli:history_command", "Show what happened and why, or export it."),
    "render": ("stack.render_cli:render_command", "Write Prometheus's and Alertmanager's configuration."),
    "pause": ("stack.pause_cli:pause_command", "Have nothing healed, or show what is paused."),
    "resume": ("stack.pause_cli:resume_command", "Let healing go on."),
    "approvals": ("stack.approvals_cli:approvals_command", "Show what waits for a person's yes."),
    "approve": ("stack.approvals_cli:approve_command", "Say yes to one of them."),
    "deny": ("stack.approvals_cli:deny_command", "Say no to one of them."),
    "exporter": ("exporter.cli:exporter_command", "Run the exporter alone."),
    "remediator": ("remediator.cli:remediator_command", "Run the remediator alone."),
    "test": ("stack.tests_cli:test_command", "Run Sitemedic's own tests."),
    "dev": ("stack.dev_cli:dev_group", "Measure and torment Sitemedic itself."),
}

# receiver → what a person calls it; each has the command `test`
NOTIFICATIONS = {
    "mail": "mail",
    "slack": "Slack",
    "telegram": "Telegram",
    "ntfy": "ntfy",
    "pagerduty": "PagerDuty",
    "webhook": "the webhook",
    "heartbeat": "the heartbeat",
}


class _Commands(LazyGroup):
    """The commands of the table, and one for each receiver of notifications."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *NOTIFICATIONS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOTIFICATIONS:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module("stack.notification_cli").group(cmd_name, NOTIFICATIONS[cmd_name])
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        with formatter.section("Send one test notification and tell how it went"):
            formatter.write_text(", ".join(f"{name} test" for name in NOTIFICATIONS))


@click.group(
    cls=_Commands,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Watch websites and servers, and bring them back.

    One file, sites.yml, says what to watch; README.md begins at the beginning.
    """
    if ctx.invoked_subcommand in ("check", "exporter", "remediator", "config"):
        from stack.parts import PARTS

        ctx.obj = PARTS


def run() -> None:
    """Run the command line; expected errors are shown as text and end with status 1."""
    try:
        main(prog_name="sitemedic")
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except StackError as error:
        click.echo(f"sitemedic: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None and output.given_up("\n"):
            click.echo(f"sitemedic: what it prints cannot be written: {error.strerror}", err=True)
        elif error.strerror and isinstance(error.filename, str):
            path = Path(error.filename)
            click.echo(f"sitemedic: {path}: {unwritable(error, path)}", err=True)
        else:
            raise
        sys.exit(1)
