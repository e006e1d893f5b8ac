"""The wrapper of a server for tests: the shipped file, but for where its list, its state and Docker are."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from remediator.on_server import wrapper

FAKE = """#!/bin/sh
# A Docker in small: keeps a ledger of what it is asked, and knows the containers in a folder.
asked=$*
case $asked in 'inspect --type container --format {{{{.ID}}'*) asked='(who is it)' ;; esac
printf '%s\\n' "$asked" >>{folder}/ledger
case $1 in
    inspect)
        for last in "$@"; do :; done
        [ -f "{folder}/containers/$last" ] || {{ echo "Error: No such container: $last" >&2; exit 1; }}
        cat "{folder}/containers/$last"
        ;;
    ps) cat {folder}/ids 2>/dev/null || : ;;
    *) echo "$1" ;;
esac
"""


@dataclass
class Wrapped:
    """One wrapper with its list, its hooks and its state in a folder of its own."""

    folder: Path
    programs: str = ""
    shell: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("etc/hooks", "state", "bin", "containers"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.allow()
        text = wrapper.FILE.read_text()
        for old, new in (
            ("PATH=/usr", f"PATH={self.programs or self.folder / 'bin'}:/usr"),
            ("etc=/etc/sitemedic", f"etc={self.folder / 'etc'}"),
            ("state=/var/lib/sitemedic/hooks", f"state={self.folder / 'state'}"),
            ("owner=0", f"owner={os.geteuid()}"),
        ):
            assert text.count(f"\n{old}") == 1, old
            text = text.replace(f"\n{old}", f"\n{new}")
        self.file = self.folder / "sitemedic-wrapper"
        self.file.write_text(text)
        self.file.chmod(0o755)

    @property
    def allowed(self) -> Path:
        return self.folder / "etc" / "allowed"

    @property
    def ledger(self) -> list[str]:
        """Return what the fake Docker was asked."""
        path = self.folder / "ledger"
        return path.read_text().splitlines() if path.exists() else []

    def allow(self, *lines: str) -> None:
        self.allowed.write_text("".join(f"{line}\n" for line in lines))
        self.allowed.chmod(0o644)

    def fake_docker(self) -> None:
        program = self.folder / "bin" / "docker"
        program.write_text(FAKE.format(folder=self.folder))
        program.chmod(0o755)

    def container(self, name: str, identity: str = "a" * 64, labels: str = '"" "" ""') -> None:
        """Let the fake Docker know a container, by its name and by its id."""
        text = f'{identity} /{name} {labels}\n{{"Name":"/{name}"}}\n'
        for key in (name, identity):
            (self.folder / "containers" / key).write_text(text)

    def hook(self, name: str, script: str, mode: int = 0o755) -> None:
        path = self.folder / "etc" / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)

    def line(self, public_key: str) -> str:
        """Return the line of authorized_keys."""
        return f'restrict,command="{self.file}" {public_key}'

    def run(
        self, command: str | bytes | None, *words: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Have it asked for a command as sshd does."""
        given: dict[bytes, bytes] = {b"PATH": b"/usr/bin:/bin", b"HOME": bytes(self.folder)}
        given |= {name.encode(): value.encode() for name, value in (environment or {}).items()}
        if command is not None:
            given[b"SSH_ORIGINAL_COMMAND"] = command.encode() if isinstance(command, str) else command
        return subprocess.run(
            [*self.shell, str(self.file), *words],
            env=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )


def shells() -> list[tuple[str, ...]]:
    """Return the shells of this machine that servers have as /bin/sh."""
    wanted = (("dash",), ("busybox", "sh"), ("bash", "--posix"))
    return [(path, *words) for name, *words in wanted if (path := shutil.which(name)) is not None]
