"""A real Docker engine for tests: Debian's dockerd, started by hand, with an image made of busybox-static."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

IMAGE = "sitemedic-test:busybox"
DOCKERD = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "dockerd"
STAYS = ("sh", "-c", 'trap "exit 0" TERM; echo serving; while :; do sleep 1000 & wait; done')
"""A command that runs until it is told to stop, and then stops at once."""
_APPLETS = ("sh", "sleep", "true", "false", "echo", "cat", "test", "httpd", "touch", "rm", "seq")

needs_docker = [
    pytest.mark.needs("dockerd", "docker", "busybox", "sshd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Docker engine of our own needs root"),
]
"""What a test module that uses this says: `pytestmark = needs_docker`."""


@dataclass
class DockerEngine:
    """One engine, empty but for the image."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """Return dockerd's pid, the first of its namespace. Raises OSError or IndexError once it is gone."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    @property
    def host(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a command needs to reach this engine and no other."""
        return {"DOCKER_HOST": self.host}

    def docker(self, *arguments: str, stdin: bytes | None = None, seconds: float = 60) -> str:
        """Run `docker ARGUMENTS…` and return its output."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            ["docker", *arguments],
            check=False,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def run(self, name: str, *options: str, command: Sequence[str] = STAYS) -> str:
        """Start a container without network and return its id."""
        return self.docker("run", "-d", "--name", name, "--network", "none", *options, IMAGE, *command)

    def inspect(self, name: str) -> dict[str, Any]:
        found = json.loads(self.docker("inspect", "--type", "container", name))
        assert isinstance(found[0], dict)
        return found[0]

    def started_at(self, name: str) -> str:
        return str(self.inspect(name)["State"]["StartedAt"])

    def events(self, name: str, since: float, action: str = "restart") -> list[str]:
        """Return the engine's own record of what happened to a container since then."""
        now = self.docker("info", "--format", "{{.SystemTime}}")
        out = self.docker(
            "events",
            *("--since", f"{since:.9f}", "--until", now, "--filter", f"container={name}"),
            *("--filter", f"event={action}", "--format", "{{json .}}"),
        )
        return out.splitlines()

    def clear(self) -> None:
        """Remove every container."""
        ids = self.docker("ps", "--all", "--quiet").split()
        if ids:
            self.docker("rm", "--force", *ids)

    def import_image(self) -> None:
        self.docker("import", "-", IMAGE, stdin=_busybox_tree())


@contextmanager
def running_engine() -> Iterator[DockerEngine]:
    """Start an engine with everything of its own, and leave nothing of it behind."""
    with engine_folder() as folder, started_engine(folder, own_network=False) as engine:
        engine.import_image()
        yield engine
        engine.clear()


@contextmanager
def engine_folder() -> Iterator[Path]:
    """Make a folder for what engines keep; its path is short, for the sake of the socket's."""
    folder = Path(tempfile.mkdtemp(prefix="sitemedic-docker-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started_engine(folder: Path, own_network: bool, options: Sequence[str] = ()) -> Iterator[DockerEngine]:
    """Start an engine in `folder`; with the same folder, a later one has the images of an earlier one.

    `options` are more of dockerd's, such as another address to listen at.

    It lives in namespaces of its own: when it ends, or whoever started it, all its processes and mounts
    are gone. With `own_network`, so are its bridges and iptables rules, and its containers reach each
    other and nothing else; without, containers have no network but the host's.
    """
    run = Path(tempfile.mkdtemp(prefix="run-", dir=folder))  # what an earlier engine left here would mislead
    with (run / "log").open("wb") as log:
        process = subprocess.Popen([*_command(folder, run, own_network), *options], stdout=log, stderr=log)
    engine = DockerEngine(run, process)
    try:
        until(lambda: engine.docker("info", "--format", "{{.ID}}"), 30, f"dockerd (its log: {run / 'log'})")
        yield engine
    finally:
        _stop(engine)
        for cgroup in (*Path("/sys/fs/cgroup").glob(f"*/{folder.name}"), Path("/sys/fs/cgroup", folder.name)):
            for path, _, _ in os.walk(cgroup, topdown=False):
                Path(path).rmdir()


def _command(folder: Path, run: Path, own_network: bool) -> list[str]:
    dockerd = [
        DOCKERD,
        *("--data-root", str(folder / "data"), "--exec-root", str(run / "exec")),
        *("-H", f"unix://{run / 'docker.sock'}", "--pidfile", str(run / "pid")),
        *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{folder.name}"),
    ]
    confined = [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    ]
    if own_network:
        loopback = 'busybox ifconfig lo 127.0.0.1 up && exec "$@"'
        return [*confined, "--net", "sh", "-c", loopback, "sh", *dockerd]
    return [*confined, *dockerd, "--iptables=false", "--ip6tables=false", "--bridge=none"]


def _stop(engine: DockerEngine) -> None:
    """End the engine, in order if it can; with the first process of a namespace, all of its others end."""
    try:
        os.kill(engine.pid, signal.SIGTERM)
        engine.process.wait(30)
    except subprocess.TimeoutExpired:
        os.kill(engine.pid, signal.SIGKILL)
        engine.process.wait()
    except (OSError, IndexError):  # it has ended by itself
        engine.process.kill()
        engine.process.wait()


def _busybox_tree() -> bytes:
    busybox = shutil.which("busybox")
    assert busybox is not None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)
    return buffer.getvalue()
