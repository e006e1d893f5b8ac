"""Where the programs are that Sitemedic starts but does not bring along."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

# Upstream's names first, Debian's after.
NAMES = {
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "blackbox_exporter": ("blackbox_exporter", "prometheus-blackbox-exporter"),
    "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "prometheus-blackbox-exporter": ("prometheus-blackbox-exporter", "blackbox_exporter"),
}
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # sshd's; not on an ordinary user's PATH
# No programs, but what tests preload into one; asked for by name all the same.
LIBRARIES = {"libfaketime": "faketime/libfaketimeMT.so.1"}
_LIBRARIES = Path("/usr/lib")  # each in the folder of its architecture
_POSTGRES = Path("/usr/lib/postgresql")  # where Debian has each version's own


def find_program(name: str) -> Path | None:
    """Return the program called `name`, under upstream's name or Debian's, or None; a library's file too."""
    if name in LIBRARIES:
        return next(_LIBRARIES.glob(f"*/{LIBRARIES[name]}"), None)
    postgres = (str(folder) for folder in sorted(_POSTGRES.glob("*/bin"), reverse=True))
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM, *postgres))
    for known in NAMES.get(name, (name,)):
        if found := shutil.which(known, path=path):
            return Path(found)
    return None


def version(name: str) -> tuple[int, ...] | None:
    """Return the version that a program says it has, or None where it is missing or does not say."""
    program = find_program(name)
    return None if program is None else _version(program, program.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _version(program: Path, _changed: int) -> tuple[int, ...] | None:
    try:
        done = subprocess.run((program, "--version"), capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"version v?(\d+)\.(\d+)", done.stdout + done.stderr)
    return (int(found[1]), int(found[2])) if found else None
