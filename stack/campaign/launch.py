"""Runs the real remediator for the lab: `python -m stack.campaign.launch CLOCK LOG remediator …`.

Each remediator is a process of its own, forked from this one, which has imported the code once: it is killed
so often that a campaign would else be spent with imports.

Only times are other than in use: what is a constant in seconds is shorter, as one campaign must fit into
minutes, and the machine's clock (`time.time`) is off by what the lab writes into the file CLOCK.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

PR_SET_PDEATHSIG = 1
ALL = ("stack.cli", "stack.parts", "remediator.cli", "remediator.server", "remediator.service")
SHORTER: dict[str, dict[str, float]] = {
    "remediator.actions.restart_container": {
        "RESTART_MARGIN_SECONDS": 4.0,
        "LATEST_SECONDS": 3.0,
        "STABLE_SECONDS": 0.3,
        "SETTLE_AGAIN_SECONDS": 0.3,
        "SETTLE_SECONDS": 10.0,
    },
    "remediator.actions.power": {"EVENT_SECONDS": 5.0, "SETTLE_SECONDS": 20.0},
    "remediator.on_server.docker": {"LOOK_SECONDS": 2.0},
    "core.servers.ssh": {
        "CONNECT_SECONDS": 1.5,
        "BANNER_SECONDS": 2.0,
        "AUTH_SECONDS": 2.0,
        "WHOLE_CONNECT_SECONDS": 4.0,
    },
    "remediator.clients.linode": {"TIMEOUTS": (1.0, 3.0), "BUSY_SECONDS": 1.0},  # type: ignore[dict-item]
    "remediator.acting.stages": {"LOOK_STAYS_TRUE": 5.0},
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
    linode = import_module("remediator.clients.linode")
    linode.LinodeAPI.__init__.__defaults__ = (linode.DEFAULT_URL, linode.TIMEOUTS)


def main() -> None:
    """Import once, then start a remediator at each line `start`, and tell its end at each line `wait PID`."""
    clock, log = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
    shift_clock(clock)
    shorten()
    for module in ALL:
        import_module(module)
    for line in sys.stdin:
        order, _, about = line.strip().partition(" ")
        if order == "start":
            answer = os.fork() or _run(log)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(int(about), 0)[1])
        print(answer, flush=True)
    os._exit(0)  # there is nothing to tidy up


def _run(log: Path) -> int:
    """Be the remediator, as the command line starts it, until it ends; nobody's child may outlive the lab."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    faulthandler.register(signal.SIGUSR1)  # asked for where it does not end
    from stack.cli import run

    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - told as Python would, then ended below the launcher
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
