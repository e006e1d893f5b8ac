"""A remediator process that kills itself at one point: `python -m tests.remediator.crashing DIR POINT …`."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from core import logs
from core.secrets import Secret
from core.servers.schema import PART as SERVERS
from exporter.schema import PART as EXPORTER
from remediator.actions import power
from remediator.actions.boot_linode import BootLinode
from remediator.actions.power import PowerAction
from remediator.actions.reboot_linode import RebootLinode
from remediator.clients.linode import LinodeAPI
from remediator.configuration import playbook_options
from remediator.configuration.schema import PART
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.model.playbooks import BUILT_IN, PlannedStep
from remediator.model.seen import Look
from remediator.server import serve
from remediator.service import Remediator, Settings
from tests.linode_fake import TOKEN
from tests.remediator.doubles import QUICK, Ledger, LedgerAction, slower
from tests.remediator.machine import Machine


class CrashingPower(PowerAction):
    """The real action, on a server that answers SSH as soon as it is asked to settle."""

    point = ""

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        die(self.point, "before")
        marks = super().act(target, marks, world)
        die(self.point, "after")
        return marks

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        die(self.point, "settle")
        return super().settle(target, marks, replace(world, connect=lambda _server: Machine()))


class CrashingReboot(CrashingPower, RebootLinode):
    """Reboots."""


class CrashingBoot(CrashingPower, BootLinode):
    """Boots."""


class CrashingAction(LedgerAction):
    """Dies by SIGKILL where it is told to."""

    point = ""

    def prepare(self, target: Target, world: World) -> Marks:
        die(self.point, "prepare")
        return super().prepare(target, world)

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        die(self.point, "before")
        marks = super().act(target, marks, world)
        die(self.point, "after")
        if self.point == "hang":
            time.sleep(60)
        return marks

    def settle(self, target: Target, marks: Marks, world: World) -> Step:
        die(self.point, "settle")
        return Step(Progress.DONE, "settled")


def die(point: str, here: str) -> None:
    if point == here:
        os.kill(os.getpid(), signal.SIGKILL)


def looked(action: str, world: World) -> Look:
    status = {"reboot_linode": "running", "boot_linode": "offline"}.get(action)
    if status is None:
        return Look(world.now(), "ok")
    return Look(world.now(), "unreachable", {"linode": {"status": status, "recent_events": []}})


def main(folder: Path, point: str, action: str, exporter: str, port: int) -> None:
    """Serve until killed; an `action` other than restart_container stands for an upgraded playbook."""
    logs.setup()
    power_actions = {one.name: one for one in (CrashingReboot(), CrashingBoot())}
    found = power_actions.get(action) or CrashingAction(action, Ledger(folder / "ledger"))
    found.point = point
    if action not in power_actions:
        upgraded = PlannedStep("restart_container", action, at_most=2)
        built_in = replace(BUILT_IN, answers_wrongly=(upgraded,), does_not_answer=())
        playbook_options.BUILT_IN = built_in
    power.EVENT_SECONDS = 1.5
    linode = os.environ.get("FAKE_LINODE")
    settings = Settings(
        config_file=folder / "sites.yml",
        parts=(EXPORTER, SERVERS, PART),
        storage_url=os.environ["STORAGE_URL"],
        exporter_url=exporter,
        alertmanager_url=exporter,
        console_url="http://console.example",
        webhook_token=Secret("webhook-token"),
        api_token=Secret("api-token"),
        timing=slower(QUICK, lease_ttl=1.0, settle_within=10.0),
        actions={action: found},
        look=lambda _target, world: looked(action, world),
        linode=LinodeAPI(Secret(TOKEN), linode, (2.0, 5.0)) if linode else None,
    )
    serve(Remediator(settings), "127.0.0.1", port)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
