"""A remediator process that kills itself at one point: `python -m tests.remediator.crashing DIR POINT …`."""

import os
import signal
import sys
from pathlib import Path

from core import logs
from core.secrets import Secret
from exporter.schema import PART as EXPORTER
from remediator import playbook
from remediator.actions.action import Marks, Progress, Step, Target, World
from remediator.incident import Look
from remediator.playbook import Rule
from remediator.schema import PART
from remediator.server import serve
from remediator.service import Remediator, Settings
from tests.remediator.doubles import QUICK, Ledger, LedgerAction, slower


class CrashingAction(LedgerAction):
    """Dies by SIGKILL where it is told to."""

    point = ""

    def prepare(self, target: Target, world: World) -> Marks:
        self.die("prepare")
        return super().prepare(target, world)

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        self.die("before")
        marks = super().act(target, marks, world)
        self.die("after")
        return marks

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        self.die("settle")
        return Step(Progress.DONE, "settled")

    def die(self, here: str) -> None:
        if self.point == here:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, point: str, action: str, exporter: str, port: int) -> None:
    """Serve until killed; an `action` other than restart_container stands for an upgraded playbook."""
    logs.setup()
    found = CrashingAction(action, Ledger(folder / "ledger"))
    found.point = point
    playbook.RULES[playbook.RESTART] = Rule(playbook.RESTART, action, at_most=2)
    settings = Settings(
        config_file=folder / "sites.yml",
        parts=(EXPORTER, PART),
        storage_url=f"sqlite:///{folder}/remediator.db",
        exporter_url=exporter,
        alertmanager_url=exporter,
        console_url="http://console.example",
        webhook_token=Secret("webhook-token"),
        api_token=Secret("api-token"),
        timing=slower(QUICK, lease_ttl=1.0),
        actions={action: found},
        look=lambda _target, world: Look(world.now(), "ok"),
    )
    serve(Remediator(settings), "127.0.0.1", port)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
