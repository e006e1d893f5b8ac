"""`./sitemedic demo` on the command line."""

import signal
import sys
from pathlib import Path

import click

from demo.configuration import SITE
from stack.flags import folder_option
from stack.story.plan import PLANS
from stack.story.screen import Screen
from stack.story.sources import find_demo
from stack.story.story import Story


@click.command("demo")
@click.argument("kind", type=click.Choice(list(PLANS)))
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds within which all of it must have happened.",
)
@folder_option("Folder in which the demo was started.")
def demo_command(kind: str, timeout: float, folder: Path) -> None:
    """Break the running demo site and watch it heal.

    \b
    bad-response   it answers 500          the container is restarted
    wrong-content  its content is gone     the container is restarted
    unreachable    the whole server hangs  the Linode is rebooted
    slow           it answers late         people are told, nothing is touched

    The timeline is printed as it happens, in seconds since the break. Exit status 0 only if all that
    should have happened did, and nothing else. A stack that watches real sites is never touched.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the site is mended first
    demo = find_demo(folder.resolve(), SITE)
    sys.exit(Story(demo, PLANS[kind], Screen(), timeout).run())
