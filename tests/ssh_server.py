"""A real OpenSSH server for tests: own keys and port, the current user, cut and frozen on demand."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.servers.server import Server, SshSettings
from tests.ports import free_port
from tests.waiting import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "/usr/sbin/sshd"


@dataclass
class SshServer:
    """One sshd that runs whatever it is told, for one key; `environment` is what its commands see."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key_file = make_key(self.folder / "user_key")
        self.host_key = make_key(self.folder / "host_key")
        self.known_hosts_file = self.folder / "known_hosts"
        shutil.copy(self.key_file.with_suffix(".pub"), self.folder / "authorized_keys")
        self.pin()

    @property
    def settings(self) -> SshSettings:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return SshSettings("127.0.0.1", self.port, user, self.key_file, self.known_hosts_file)

    @property
    def options(self) -> dict[str, Any]:
        """Return `settings` as a server's `ssh:` in a sites.yml."""
        found = asdict(self.settings)
        return found | {name: str(found[name]) for name in ("key_file", "known_hosts_file")}

    def server(self, name: str = "web-1", linode: int | None = None, may_reboot: bool = False) -> Server:
        return Server(name, self.settings, linode, may_reboot)

    def host_line(self) -> str:
        public = self.host_key.with_suffix(".pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n"

    def pin(self) -> None:
        """Write the host key of now into known_hosts."""
        self.known_hosts_file.write_text(self.host_line())

    def change_host_key(self) -> None:
        """Give the server another identity, as a reinstallation or an impostor would."""
        self.stop()
        for path in (self.host_key, self.host_key.with_suffix(".pub")):
            path.unlink()
        make_key(self.host_key)
        self.start()

    def start(self) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        self._configure()
        self.process = subprocess.Popen(
            [SSHD, "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "log")],
            start_new_session=True,
        )
        until(self._answers, 10, "sshd")

    def stop(self) -> None:
        """End it with every session; commands that it runs lose their connection and may go on."""
        if self.process is None:
            return
        self.thaw()
        sessions = _descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        self.process = None
        _send([pid for pid in sessions if _is_sshd(pid)], signal.SIGKILL)

    def cut(self) -> None:
        """Cut every connection without a goodbye; what runs on the server goes on."""
        assert self.process is not None
        _send([pid for pid in _descendants(self.process.pid) if _is_sshd(pid)], signal.SIGKILL)

    def freeze(self) -> None:
        """Let connections open and then say nothing."""
        assert self.process is not None
        _send([self.process.pid, *_descendants(self.process.pid)], signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            _send([self.process.pid, *_descendants(self.process.pid)], signal.SIGCONT)

    def _configure(self) -> None:
        lines = [
            f"ListenAddress 127.0.0.1:{self.port}",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "UseDNS no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
        ]
        environment = {
            "HOME": str(self.folder),
            **self.environment,
        }  # bash reads ~/.bashrc, which may wait
        lines.append("SetEnv " + " ".join(f'{key}="{value}"' for key, value in environment.items()))
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(1)
            return connection.recv(8).startswith(b"SSH-2.0")


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair without a passphrase; RSA with 2048 bits, for the test's sake."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=30)
    return path


@contextmanager
def running_ssh_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[SshServer]:
    """Start an sshd with its files in `folder` and stop it at the end."""
    server = SshServer(folder, environment or {})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, rest = [], [pid]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found


def _is_sshd(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "comm").read_text().startswith("sshd")
    except OSError:
        return False


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
