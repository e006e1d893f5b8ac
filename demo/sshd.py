"""A real OpenSSH server with keys and configuration of its own; works as root and as an ordinary user."""

import asyncio
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from demo.keeper import descendants, die_with_parent, send

KEEPER_SCRIPT = Path(__file__).with_name("keeper.py")
PRIVILEGE_SEPARATION = Path("/run/sshd")
START_SECONDS = 10.0
STOP_SECONDS = 10.0

_SESSION = """#!/bin/sh
# What every SSH session runs: the command that was asked for, with the demo's docker first on the PATH.
PATH={bin}:$PATH
export PATH
if [ -z "${{SSH_ORIGINAL_COMMAND-}}" ]; then
    echo "demo server: give a command, e.g. docker ps -a" >&2
    exit 1
fi
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


class SshdError(Exception):
    """sshd cannot be had or does not start; the message says what to do."""


@dataclass
class Sshd:
    """One sshd below `folder`, on `host`:`port`, that runs commands with `bin_folder` first on the PATH."""

    folder: Path
    keys_folder: Path
    bin_folder: Path
    host: str
    port: int
    known_as: str
    _keeper: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def user(self) -> str:
        """Return the only user who can log in: the one this runs as."""
        return pwd.getpwuid(os.geteuid()).pw_name

    @property
    def key_file(self) -> Path:
        """Return the private key to log in with."""
        return self.keys_folder / "medic"

    @property
    def known_hosts_file(self) -> Path:
        """Return the file that pins this server's host key."""
        return self.keys_folder / "known_hosts"

    @property
    def log_file(self) -> Path:
        """Return where sshd writes what happens."""
        return self.folder / "sshd.log"

    @property
    def running(self) -> bool:
        """Tell whether sshd lives (it may be hanging)."""
        return self._keeper is not None and self._keeper.returncode is None

    def prepare(self) -> None:
        """Make keys (once), configuration and known_hosts; raises SshdError."""
        _require_login_shell()
        for folder in (self.folder, self.keys_folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        host_key = _key_pair(self.folder / "host_ed25519_key")
        medic = _key_pair(self.key_file)
        _write(self.folder / "authorized_keys", f"restrict {medic} medic@sitemedic-demo\n", 0o600)
        name = self.known_as if self.port == 22 else f"[{self.known_as}]:{self.port}"
        _write(self.known_hosts_file, f"{name} {host_key}\n", 0o600)
        _write(self.folder / "session.sh", _SESSION.format(bin=shlex.quote(str(self.bin_folder))), 0o700)
        self._write_configuration()

    async def start(self) -> None:
        """Start it and wait until it answers; raises SshdError with the end of its log."""
        argv = [sys.executable, "-I", "-S", str(KEEPER_SCRIPT), str(os.getpid())]
        argv += [_sshd_binary(), "-D", "-f", str(self._configuration), "-E", str(self.log_file)]
        self._keeper = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=die_with_parent(os.getpid(), signal.SIGTERM),
        )
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not await self._answers():
            if not self.running or asyncio.get_running_loop().time() > deadline:
                await self.kill()
                raise SshdError(f"sshd does not start on {self.host}:{self.port}: {self._last_words()}")
            await asyncio.sleep(0.05)

    def hang(self) -> None:
        """Freeze sshd and its sessions: connections open and then nothing is said."""
        if self._keeper is not None and self.running:
            send(descendants(self._keeper.pid), signal.SIGSTOP)

    async def kill(self) -> None:
        """End sshd and every session at once."""
        keeper = self._keeper
        if keeper is None:
            return
        if keeper.returncode is None:
            with suppress(ProcessLookupError):
                keeper.terminate()
            try:
                await asyncio.wait_for(keeper.wait(), STOP_SECONDS)
            except TimeoutError:
                send([*descendants(keeper.pid), keeper.pid], signal.SIGKILL)
                await keeper.wait()
        self._keeper = None

    @property
    def _configuration(self) -> Path:
        return self.folder / "sshd_config"

    def _write_configuration(self) -> None:
        lines = [
            f"ListenAddress {_bracketed(self.host)}:{self.port}",
            f"HostKey {_quoted(self.folder / 'host_ed25519_key')}",
            f"AuthorizedKeysFile {_quoted(self.folder / 'authorized_keys')}",
            f"ForceCommand {shlex.quote(str(self.folder / 'session.sh'))}",
            f"AllowUsers {self.user}",
            "PidFile none",
            "AuthenticationMethods publickey",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UseDNS no",
            f"UsePAM {'yes' if _root_is_locked() else 'no'}",
            "DisableForwarding yes",
            "PrintMotd no",
            "PrintLastLog no",
            "LoginGraceTime 20",
            f"SetEnv HOME={_quoted(self.folder)}",  # a login shell reads ~/.bashrc, which may wait: not here
        ]
        # Since 9.8 whoever only looks whether the port answers is shut out; older ones don't know this word.
        for extra in (["PerSourcePenalties no"], []):
            _write(self._configuration, "\n".join(lines + extra) + "\n", 0o600)
            check = _test_configuration(self._configuration)
            if check.returncode == 0:
                return
        raise SshdError(f"sshd refuses its configuration {self._configuration}: {check.stderr.strip()}")

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                banner = await reader.readline()
        except (OSError, TimeoutError):
            return False
        writer.close()
        return banner.startswith(b"SSH-2.0-") and self.running

    def _last_words(self) -> str:
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return " / ".join(lines[-3:]) or f"it said nothing, see {self.log_file}"


def port_is_free(host: str, port: int) -> bool:
    """Tell whether a listener could have this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _sshd_binary() -> str:
    found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise SshdError("sshd is missing: install it, e.g. apt-get install openssh-server")
    return str(Path(found).resolve())  # sshd re-executes itself and insists on an absolute path


def _test_configuration(path: Path) -> subprocess.CompletedProcess[str]:
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    argv: Sequence[str] = [_sshd_binary(), "-t", "-f", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def _require_login_shell() -> None:
    entry = pwd.getpwuid(os.geteuid())
    if Path(entry.pw_shell).name in ("nologin", "false"):
        raise SshdError(
            f"user {entry.pw_name} has no login shell ({entry.pw_shell}), so sshd lets nobody in: "
            "run the demo as another user"
        )


def _root_is_locked() -> bool:
    """Tell whether root's password is locked; sshd without PAM then refuses root even with a key."""
    if os.geteuid() != 0:
        return False
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    fields = (line.split(":") for line in lines)
    return any(entry[0] == "root" and entry[1].startswith("!") for entry in fields if len(entry) > 1)


def _key_pair(path: Path) -> str:
    """Make an ed25519 key pair where there is none; return the public line."""
    if path.exists():
        key = load_ssh_private_key(path.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
    else:
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        _write(path, private.decode(), 0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    _write(path.with_name(path.name + ".pub"), public + "\n", 0o644)
    return public


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
