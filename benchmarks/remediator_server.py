"""The server that is healed: a `docker` that only writes down what it was told, behind a real sshd."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ProcessError, free_port, running
from stack.programs import find_program

SERVERS = 10
"""sshd listens on 16 addresses at most."""

# A container exists as soon as it is asked for; its start time is that of its last restart.
_DOCKER = """#!/bin/sh
here={here}
for name; do :; done
case $1 in
inspect)
    started=2026-01-01T00:00:00Z
    [ -r "$here/$name" ] && read -r started <"$here/$name"
    printf '[{{"Id":"%s","Name":"/%s","RestartCount":0,' "$name" "$name"
    printf '"State":{{"Status":"running","ExitCode":0,"StartedAt":"%s"}}}}]' "$started"
    ;;
restart)
    now=$(date +%s.%N)
    echo "$now $name" >>"$here/ledger"
    echo "$now" >"$here/$name"
    ;;
esac
"""


@dataclass(frozen=True)
class Docker:
    """The stand-in for docker, alone in a folder that can be put on a PATH."""

    folder: Path

    @classmethod
    def below(cls, folder: Path) -> "Docker":
        """Write it to a folder of its own."""
        place = folder / "docker"
        place.mkdir()
        program = place / "docker"
        program.write_text(_DOCKER.format(here=place), "utf-8")
        program.chmod(0o755)
        return cls(place)

    @property
    def path(self) -> str:
        """Return a PATH on which it comes first."""
        return f"{self.folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def restarts(self) -> list[tuple[float, str]]:
        """Return every `docker restart`, oldest first: when it ran (unix seconds), and the container."""
        ledger = self.folder / "ledger"
        lines = ledger.read_text("utf-8").splitlines() if ledger.exists() else []
        return [(float(when), name) for when, name in (line.split() for line in lines)]


def address(number: int) -> str:
    """Return the address of one server: all are this machine's loopback, as one sshd stands for them all."""
    return f"127.0.1.{1 + number}"


@contextmanager
def sshd(folder: Path, docker: Docker) -> Iterator[str]:
    """Run an sshd for all servers; yield what lets the remediator in. Raises ProcessError.

    It gives way to all others (`nice`): it stands for the processors of other machines.
    """
    program = find_program("sshd")
    if program is None or shutil.which("ssh-keygen") is None:
        raise ProcessError("sshd is not installed: apt-get install openssh-server")
    port, user = free_port(), pwd.getpwuid(os.geteuid()).pw_name
    for name in ("user_key", "host_key"):
        subprocess.run(
            ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)), check=True, timeout=30
        )
    kind, key = (folder / "host_key.pub").read_text().split()[:2]
    addresses = ["127.0.0.1", *(address(number) for number in range(SERVERS))]
    (folder / "known_hosts").write_text("".join(f"[{one}]:{port} {kind} {key}\n" for one in addresses))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    configuration = folder / "sshd_config"
    configuration.write_text(
        "".join(f"ListenAddress {one}:{port}\n" for one in addresses) + f"HostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nPidFile none\nStrictModes no\nUsePAM no\nUseDNS no\n"
        f"PermitRootLogin prohibit-password\nPasswordAuthentication no\nMaxStartups 200\n"
        f'SetEnv PATH="{docker.path}" HOME="{folder}"\n'  # bash would read ~/.bashrc: that is no part of it
    )
    command = ("nice", "-n", "19", str(program), "-D", "-e", "-f", str(configuration))
    with running("sshd", command, port, folder):
        yield (
            f"{{user: {user}, port: {port}, key_file: {folder}/user_key, "
            f"known_hosts_file: {folder}/known_hosts}}"
        )
