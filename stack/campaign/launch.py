"""Runs the real remediator for the lab: `python -m stack.campaign.launch CLOCK remediator …`.

Only times are other than in use: what is a constant in seconds is shorter, as one campaign must fit into
minutes, and the machine's clock (`time.time`) is off by what the lab writes into the file CLOCK.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from importlib import import_module
from pathlib import Path

SHORTER: dict[str, dict[str, float]] = {
    "remediator.actions.restart_container": {
        "RESTART_MARGIN_SECONDS": 4.0,
        "LATEST_SECONDS": 3.0,
        "STABLE_SECONDS": 0.3,
        "SETTLE_AGAIN_SECONDS": 0.3,
        "SETTLE_SECONDS": 10.0,
    },
    "remediator.actions.power": {"EVENT_SECONDS": 5.0, "SETTLE_SECONDS": 20.0},
    "remediator.docker": {"LOOK_SECONDS": 2.0},
    "remediator.connect.ssh": {
        "CONNECT_SECONDS": 1.5,
        "BANNER_SECONDS": 2.0,
        "AUTH_SECONDS": 2.0,
        "WHOLE_CONNECT_SECONDS": 4.0,
    },
    "remediator.linode": {"TIMEOUTS": (1.0, 3.0), "BUSY_SECONDS": 1.0},  # type: ignore[dict-item]
    "remediator.stages": {"LOOK_STAYS_TRUE": 5.0},
}
"""Seconds, by module and constant."""


def shift_clock(path: Path) -> None:
    """Have `time.time` tell the machine's time plus the seconds that the file holds, at any moment."""
    real = time.time
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    time.time = lambda: real() + struct.unpack("d", shared[:8])[0]


def shorten() -> None:
    """Make the remediator's constants fit a campaign; raise AttributeError where one is no more."""
    for module, constants in SHORTER.items():
        found = import_module(module)
        for name, value in constants.items():
            getattr(found, name)
            setattr(found, name, value)
    linode = import_module("remediator.linode")
    linode.LinodeAPI.__init__.__defaults__ = (linode.DEFAULT_URL, linode.TIMEOUTS)


def main() -> None:
    """Start the remediator as the command line does."""
    shift_clock(Path(sys.argv.pop(1)))
    shorten()
    from stack.cli import run

    run()


if __name__ == "__main__":
    main()
