"""The demo's server: a real sshd and one container, with power, faults and a boot that takes its time."""

import asyncio
import logging
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.logs import fields
from demo.container import Container
from demo.keeper import send
from demo.sshd import Sshd, SshdError, port_is_free

log = logging.getLogger(__name__)

CONTAINER_NAME = "demo-shop"
SHIM_SCRIPT = Path(__file__).with_name("docker_shim.py")
SITE_FAULTS = ("bad-response", "wrong-content", "slow", "die")
UNREACHABLE = "unreachable"
FAULTS = (*SITE_FAULTS, UNREACHABLE)
BOOT_SECONDS = 3.0
SLOW_SECONDS = 0.6
CONTROL_PATIENCE = 15.0  # seconds that `mend` waits for a boot that is under way


class Power(StrEnum):
    """What the server's power button knows."""

    RUNNING = "running"
    BOOTING = "booting"
    OFF = "off"


class MachineError(Exception):
    """The machine cannot be started or cannot do what is asked; the message says what to do."""


@dataclass(frozen=True)
class MachineSettings:
    """Where the machine lives and how quick it is; seconds."""

    folder: Path
    ssh_port: int
    site_port: int
    control_port: int
    host: str = "127.0.0.1"
    known_as: str = "127.0.0.1"
    boot_seconds: float = BOOT_SECONDS
    slow_seconds: float = SLOW_SECONDS
    group_reads_key: bool = False
    """Whether others of our group may log in to it: under Compose, the exporter."""


class Machine:
    """The server. All methods run in one event loop."""

    def __init__(self, settings: MachineSettings) -> None:
        self._settings = settings
        folder = settings.folder
        self.container = Container(CONTAINER_NAME, settings.host, settings.site_port, folder / "volume")
        self.sshd = Sshd(
            folder / "ssh",
            folder / "keys",
            folder / "bin",
            settings.host,
            settings.ssh_port,
            settings.known_as,
        )
        self.token = ""
        self.power = Power.OFF
        self.boots = 0
        self._fault: str | None = None
        self._broken_at: float | None = None
        self._fault_of_start = 0
        self._hung = False
        self._boot: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def token_file(self) -> Path:
        """Return the file with the token of the control (mode 0600)."""
        return self._settings.folder / "control.token"

    @property
    def fault(self) -> str | None:
        """Return the fault that is there now; a restart of the container clears what lived in its memory."""
        if self._fault in SITE_FAULTS and self._fault != "die":
            same_process = self.container.running and self.container.starts == self._fault_of_start
            return self._fault if same_process else None
        if self._fault == "die":
            return None if self.container.running else self._fault
        return self._fault if self._hung else None

    def prepare(self) -> None:
        """Make the folder, the token, the keys and its commands; raises MachineError."""
        settings = self._settings
        for what, port in (("website", settings.site_port), ("SSH server", settings.ssh_port)):
            if not port_is_free(settings.host, port):
                raise MachineError(
                    f"port {port} of {settings.host} is taken, so the demo's {what} cannot start: "
                    "stop what listens there or choose another port"
                )
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.folder.chmod(0o700)
        self.container.folder.mkdir(exist_ok=True, mode=0o700)
        self.token = secrets.token_urlsafe(32)
        self.token_file.touch(mode=0o600)
        self.token_file.chmod(0o600)
        self.token_file.write_text(self.token + "\n", encoding="utf-8")
        try:
            self.sshd.prepare()
        except SshdError as error:
            raise MachineError(str(error)) from error
        if settings.group_reads_key:
            self._let_the_group_in()
        self._write_commands()

    async def start(self) -> None:
        """Boot at once, with the container running; raises MachineError."""
        try:
            await self.sshd.start()
        except SshdError as error:
            raise MachineError(str(error)) from error
        await self.container.start()
        self.power = Power.RUNNING
        self.boots += 1

    async def close(self) -> None:
        """End everything that runs on the machine."""
        if self._boot is not None:
            self._boot.cancel()
        await self.container.lose_power()
        await self.sshd.kill()
        self.power = Power.OFF

    async def break_(self, kind: str, seconds: float | None = None) -> None:
        """Have a fault; raises MachineError when the kind is unknown or there is nothing left to break."""
        if kind not in FAULTS:
            raise MachineError(f"unknown kind {kind!r}: one of {', '.join(FAULTS)}")
        async with self._lock:
            if self.power is not Power.RUNNING or self._hung:
                raise MachineError(f"the machine is {self.state()['power']}: mend it first")
            if not self.container.running:
                raise MachineError(f"container {CONTAINER_NAME} does not run: mend it first")
            self._fault_of_start = self.container.starts
            if kind == UNREACHABLE:
                self._hang()
            else:
                await self.container.order(kind, seconds or self._settings.slow_seconds)
            self._fault, self._broken_at = kind, time.time()
        log.info("broken", extra=fields(fault=kind))

    async def mend(self) -> None:
        """Bring everything back: power, sshd, the container, a site without faults."""
        if self._boot is not None and not self._boot.done():
            await asyncio.wait_for(asyncio.shield(self._boot), self._settings.boot_seconds + CONTROL_PATIENCE)
        async with self._lock:
            if self._hung or self.power is not Power.RUNNING:
                await self._cut_power()
                await self._come_up(0)
            await self.container.order(None)
            await self.container.start()
            self._fault = None
        log.info("mended")

    async def reboot(self) -> None:
        """Cut the power at once and boot in the background; the container stays stopped."""
        async with self._lock:
            await self._cut_power()
            self._start_boot()

    async def boot(self) -> None:
        """Boot in the background where the power is off."""
        async with self._lock:
            if self.power is Power.OFF:
                self._start_boot()

    async def shutdown(self) -> None:
        """Stop the container and sshd, and stay off."""
        async with self._lock:
            if self.power is Power.RUNNING and not self._hung:
                await self.container.stop()
            await self._cut_power()

    def state(self) -> dict[str, Any]:
        """Describe the machine for its control."""
        settings = self._settings
        return {
            "power": "hung" if self._hung else str(self.power),
            "fault": self.fault,
            "broken_at": self._broken_at,
            "boots": self.boots,
            "ssh_running": self.sshd.running and not self._hung,
            "container": self._container_state(),
            "ssh": {
                "host": settings.known_as,
                "port": settings.ssh_port,
                "user": self.sshd.user,
                "key_file": str(self.sshd.key_file),
                "known_hosts_file": str(self.sshd.known_hosts_file),
            },
        }

    def _container_state(self) -> Mapping[str, Any]:
        container = self.container
        return {
            "name": container.name,
            "status": container.status,
            "exit_code": container.exit_code,
            "started_at": container.started_at,
            "finished_at": container.finished_at,
            "starts": container.starts,
            "pid": container.pid,
        }

    def _hang(self) -> None:
        self._hung = True
        self.sshd.hang()
        if self.container.pid:
            send([self.container.pid], signal.SIGSTOP)

    async def _cut_power(self) -> None:
        if self._boot is not None:
            self._boot.cancel()
        self.power = Power.OFF
        await self.container.lose_power()
        await self.sshd.kill()
        self._hung = False
        log.info("power is off")

    def _start_boot(self) -> None:
        self.power = Power.BOOTING
        self._boot = asyncio.create_task(self._come_up(self._settings.boot_seconds))

    async def _come_up(self, seconds: float) -> None:
        self.power = Power.BOOTING
        await asyncio.sleep(seconds)
        try:
            await self.sshd.start()
        except SshdError:
            log.exception("boot failed", extra=fields(server="demo"))
            self.power = Power.OFF
            return
        self.power = Power.RUNNING
        self.boots += 1
        log.info("booted", extra=fields(container=self.container.status))

    def _let_the_group_in(self) -> None:
        """Let our group read what is needed to log in, and nothing else: the rest has modes of its own."""
        for folder in (self._settings.folder, self.sshd.key_file.parent):
            folder.chmod(0o710)
        for file in (self.sshd.key_file, self.sshd.known_hosts_file):
            file.chmod(0o640)

    def _write_commands(self) -> None:
        folder = self._settings.folder / "bin"
        folder.mkdir(exist_ok=True, mode=0o700)
        argv = [sys.executable, "-I", "-S", str(SHIM_SCRIPT)]
        argv += [f"http://{self._control_host()}:{self._settings.control_port}", str(self.token_file)]
        for name in ("docker", "sitemedic-wrapper"):
            command = folder / name
            command.write_text(f'#!/bin/sh\nexec {shlex.join([*argv, name])} "$@"\n', encoding="utf-8")
            command.chmod(0o700)

    def _control_host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)
