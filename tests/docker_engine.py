"""A real Docker engine for tests: Debian's dockerd, started by hand, with an image made of busybox-static."""

import io
import json
import os
import shutil
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
    def host(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a command needs to reach this engine and no other."""
        return {"DOCKER_HOST": self.host}

    def docker(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run `docker ARGUMENTS…` and return its output."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            ["docker", *arguments], check=False, env=environment, input=stdin, capture_output=True, timeout=60
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
    folder = Path(tempfile.mkdtemp(prefix="sitemedic-docker-"))  # short, for the sake of the socket's path
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                DOCKERD,
                *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
                *("-H", f"unix://{folder / 'docker.sock'}", "--pidfile", str(folder / "pid")),
                *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
            ],
            stdout=log,
            stderr=log,
        )
    engine = DockerEngine(folder, process)
    try:
        until(lambda: engine.docker("info", "--format", "{{.ID}}"), 30, "dockerd")
        engine.import_image()
        yield engine
        engine.clear()
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            subprocess.run(["umount", str(folder / "exec/netns/default")], check=False, capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)


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
