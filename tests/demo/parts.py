"""The demo's parts as processes, for tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]
BOOT_SECONDS = 0.5


@dataclass(frozen=True)
class RunningMachine:
    """A machine and how to reach it."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    ssh_port: int
    site_port: int
    control: str

    def order(self, path: str, body: object = None) -> requests.Response:
        token = (self.folder / "control.token").read_text().strip()
        return requests.post(
            f"{self.control}{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20
        )

    def state(self) -> dict[str, object]:
        token = (self.folder / "control.token").read_text().strip()
        answer = requests.get(
            f"{self.control}/state", headers={"Authorization": f"Bearer {token}"}, timeout=5
        )
        answer.raise_for_status()
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def site(self, path: str = "/", timeout: float = 3) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.site_port}{path}", timeout=timeout)


@contextmanager
def running(*argv: str, env: dict[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python -m demo ARGV…` and stop it at the end."""
    process = subprocess.Popen([sys.executable, "-m", "demo", *argv], cwd=ROOT, env=env)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.wait()


@contextmanager
def running_machine(folder: Path, *more: str) -> Iterator[RunningMachine]:
    """Run a machine until the end of the block."""
    ssh, site, control = free_port(), free_port(), free_port()
    options = ["--ssh-port", ssh, "--site-port", site, "--control-port", control]
    options += ["--boot-seconds", BOOT_SECONDS, "--slow-seconds", 0.4]
    with running("machine", "--dir", str(folder), *map(str, options), *more) as process:
        machine = RunningMachine(process, folder, ssh, site, f"http://127.0.0.1:{control}")

        def is_up() -> bool:
            assert process.poll() is None, "the machine ended"
            return machine.state()["power"] == "running" and machine.site().ok

        until(is_up, 60, "the machine to be up")
        yield machine
