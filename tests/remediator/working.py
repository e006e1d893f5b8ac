"""A remediator process, of which two work on one database: `python -m tests.remediator.working DIR POINT …`.

It restarts a container of an engine that is two files: its record, and the ledger of what was done to it.
Once in a test, whoever comes to the point first does to itself what it says: die, hang, or be cut off.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core import logs
from core.secrets import Secret
from core.servers.schema import PART as SERVERS
from core.servers.server import CommandResult, Server
from exporter.schema import PART as EXPORTER
from remediator import service
from remediator.actions import restart_container
from remediator.actions.restart_container import RestartContainer
from remediator.clock import SteadyClock
from remediator.configuration.schema import PART
from remediator.model.action import Marks, Target, World
from remediator.model.seen import Look
from remediator.server import serve
from remediator.service import Remediator, Settings
from remediator.store.storage import once_there
from tests.remediator.doubles import QUICK, slower

SIGNALS = {"dies": signal.SIGKILL, "hangs": signal.SIGSTOP}
TIMES = slower(QUICK, lead_ttl=6.0, lease_ttl=8.0, send_within=3.0, settle_within=60.0, reconcile=0.2)
"""The lead is kept through seconds in which a busy machine lets nobody at the database."""


class Engine:
    """A Docker engine with one container, in files that every process sees."""

    def __init__(self, folder: Path) -> None:
        self._record = folder / "started"
        self._ledger = folder / "ledger"

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        with (self._record.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._run(list(argv))

    def _run(self, argv: list[str]) -> CommandResult:
        started = int(self._record.read_text()) if self._record.exists() else 0
        if argv[1] == "restart":
            self._record.write_text(str(started + 1))
            with self._ledger.open("a") as ledger:
                ledger.write(f"restart www {os.getpid()}\n")
        state = {"Status": "running", "ExitCode": 0, "StartedAt": f"2026-01-01T00:00:{started:02}Z"}
        record = {"Id": "a" * 64, "Name": "/nginx", "RestartCount": 0, "State": state}
        return CommandResult(0, json.dumps([record]), "")

    def close(self) -> None:
        pass

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Troubled(RestartContainer):
    """The real action, with trouble before or after its act."""

    def __init__(self, folder: Path, point: str) -> None:
        self._folder = folder
        self._where, _, self._what = point.partition(":")

    def act(self, target: Target, marks: Marks, world: World) -> Marks:
        self._trouble("before")
        marks = super().act(target, marks, world)
        self._trouble("after")
        return marks

    def _trouble(self, here: str) -> None:
        if here != self._where:
            return
        try:
            self._say_who()
        except FileExistsError:
            return  # it was somebody's before
        if self._what in SIGNALS:
            os.kill(os.getpid(), SIGNALS[self._what])
            time.sleep(0.5)  # the signal stops this thread a moment later than it is sent
        else:  # who made us cuts us off now
            while not (self._folder / "cut").exists():
                time.sleep(0.01)

    def _say_who(self) -> None:
        """Write our number into the file `trouble`, in one step; FileExistsError where another was first."""
        mine = self._folder / f"trouble.{os.getpid()}"
        mine.write_text(str(os.getpid()))
        os.link(mine, self._folder / "trouble")


def main(folder: Path, point: str, exporter: str, alertmanager: str, port: int) -> None:
    """Serve until killed; SKEW seconds is how far this machine's clock is off."""
    skew = float(os.environ.get("SKEW", "0"))
    logs.setup()
    restart_container.LATEST_SECONDS, restart_container.RESTART_MARGIN_SECONDS = 3.0, 1.0
    restart_container.STABLE_SECONDS = 0.1
    engine = Engine(folder)

    def connect(_server: Server) -> Engine:
        return engine

    service.connect = connect  # type: ignore[assignment,attr-defined]
    settings = Settings(
        config_file=folder / "sites.yml",
        parts=(EXPORTER, SERVERS, PART),
        storage_url=os.environ["STORAGE_URL"],
        exporter_url=exporter,
        alertmanager_url=alertmanager,
        console_url="http://console.example",
        webhook_token=Secret("webhook-token"),
        api_token=Secret("api-token"),
        timing=replace(TIMES, start_grace=0.0),
        actions={"restart_container": Troubled(folder, point)},
        now=SteadyClock(wall=lambda: time.time() + skew),
        look=lambda _target, world: Look(world.now(), "ok"),
    )
    serve(once_there(lambda: Remediator(settings), settings.storage_url), "127.0.0.1", port)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
