"""Programs out of Debian's packages: what is missing, which packages bring it, and their installing.

Standard library only: the launcher needs it before there is an environment.

    PackageError    a program is missing and cannot be had here; says what to run
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.programs import find_program

_DOCKER = "docker" + ".io"  # Debian's package, called like a registry, whose name stands in no file here
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "blackbox_exporter": "prometheus-blackbox-exporter",
    "nsd": "nsd",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "docker": _DOCKER,
    "dockerd": _DOCKER,
    "busybox": "busybox-static",
    "mmdebstrap": "mmdebstrap",
    "postgres": "postgresql",
    "initdb": "postgresql",
    "libfaketime": "libfaketime",
}
# What a package would start by itself, now and at each boot. Sitemedic starts its own.
UNITS = {
    "prometheus": ("prometheus.service",),
    "prometheus-alertmanager": ("prometheus-alertmanager.service",),
    "prometheus-blackbox-exporter": ("prometheus-blackbox-exporter.service",),
    "nsd": ("nsd.service",),
    "openssh-server": ("ssh.service", "ssh.socket"),
    "postgresql": ("postgresql.service",),
    _DOCKER: ("docker.service", "docker.socket", "containerd.service"),
}
_POLICY = Path("/usr/sbin/policy-rc.d")
_OUR_POLICY = "#!/bin/sh\n# Sitemedic's, for the length of one apt-get: starts no service\nexit 101\n"

Say = Callable[[str], None]


class PackageError(StackError):
    """A program is missing and cannot be installed here."""


@dataclass(frozen=True)
class Plan:
    """What is missing of the programs asked for, and the packages that bring it."""

    programs: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """Return the command that installs them."""
        return ("apt-get", "install", "--yes", "--no-install-recommends", *self.packages)

    @property
    def units(self) -> tuple[str, ...]:
        """Return the services that these packages would start by themselves."""
        return tuple(unit for package in self.packages for unit in UNITS.get(package, ()))


def plan(programs: Iterable[str], find: Callable[[str], Path | None] = find_program) -> Plan:
    """Return what is missing of `programs`; the packages in order, each once."""
    missing = tuple(program for program in programs if find(program) is None)
    return Plan(missing, tuple(dict.fromkeys(PACKAGES[program] for program in missing)))


def can_install() -> bool:
    """Say whether this is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure(programs: Iterable[str], *, yes: bool, say: Say) -> None:
    """Install what is missing of `programs`; ask first where there is a terminal, unless `yes`.

    Raises PackageError when something stays missing.
    """
    missing = plan(programs)
    if not missing.programs:
        return
    names, packages = ", ".join(missing.programs), " ".join(missing.packages)
    if not can_install():
        raise PackageError(_by_hand(missing))
    say(f"Not installed here: {names}. Debian's packages that bring it: {packages}")
    if sys.stdin.isatty() and not yes and not _agreed("Install them now? [Y/n] "):
        raise PackageError(_by_hand(missing))
    install(missing, say)
    if still := plan(missing.programs).programs:
        raise PackageError(f"{packages} were installed and {', '.join(still)} is still missing from PATH")


def install(missing: Plan, say: Say) -> None:
    """Install the plan's packages, so that none of their services starts, now or at a boot.

    Raises PackageError with the last lines of apt-get's output.
    """
    say(f"Installing {' '.join(missing.packages)}{' (their own services stay off)' if missing.units else ''}")
    with _no_service_starts():
        done = _apt(*missing.command)
        if done.returncode != 0:  # no package lists yet, or old ones
            _apt("apt-get", "update")
            done = _apt(*missing.command)
    if done.returncode != 0:
        said = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-8:])
        raise PackageError(
            f"installing failed: {shlex.join(missing.command)}\n{said}\n"
            "Look whether the network and the package sources are in order, then start again."
        )
    _turn_off(missing.units)


def _by_hand(missing: Plan) -> str:
    lines = [f"Not installed here: {', '.join(missing.programs)}. Where there is apt-get, run:"]
    lines.append(f"  sudo apt-get install --no-install-recommends {' '.join(missing.packages)}")
    if missing.units:
        lines.append("and, because these start services of their own on the same ports:")
        lines.append(f"  sudo systemctl disable --now {' '.join(missing.units)}")
    lines.append("Elsewhere: put the programs on PATH. Then start again.")
    return "\n".join(lines)


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("", "y", "yes")
    except EOFError:
        return False


def _apt(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DEBIAN_FRONTEND": "noninteractive",
        "NEEDRESTART_SUSPEND": "1",
        "LC_ALL": "C",
    }
    options = ("-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0")
    return subprocess.run(
        (command[0], *options, *command[1:]),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@contextmanager
def _no_service_starts(policy: Path = _POLICY) -> Iterator[None]:
    """Keep Debian from starting what it installs, by invoke-rc.d's policy file.

    A policy that was there already stays as it is.
    """
    there = policy.exists() and policy.read_text(errors="replace") != _OUR_POLICY
    if not there:
        policy.write_text(_OUR_POLICY)
        policy.chmod(0o755)
    try:
        yield
    finally:
        if not there:
            policy.unlink(missing_ok=True)


def _turn_off(units: tuple[str, ...]) -> None:
    for unit in units:  # one by one: a unit that this release does not have must not keep the others on
        for command in _off(unit, with_systemd=shutil.which("systemctl") is not None):
            if shutil.which(command[0]):
                subprocess.run(command, capture_output=True, check=False)


def _off(unit: str, with_systemd: bool) -> tuple[tuple[str, ...], ...]:
    """Return the commands that stop a unit and keep it from starting at a boot."""
    if with_systemd:
        now = ("--now",) if Path("/run/systemd/system").is_dir() else ()
        return (("systemctl", "disable", *now, unit),)
    name = unit.partition(".")[0]
    return (("deb-systemd-helper", "disable", unit), ("update-rc.d", name, "disable"))
