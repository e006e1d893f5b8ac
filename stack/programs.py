"""Where the programs are that Sitemedic starts but does not bring along."""

import os
import shutil
from pathlib import Path

# Upstream's names first, Debian's after.
NAMES = {
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "blackbox_exporter": ("blackbox_exporter", "prometheus-blackbox-exporter"),
    "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "prometheus-blackbox-exporter": ("prometheus-blackbox-exporter", "blackbox_exporter"),
}
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # sshd's; not on an ordinary user's PATH


def find_program(name: str) -> Path | None:
    """Return the program called `name`, under upstream's name or Debian's, or None."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM))
    for known in NAMES.get(name, (name,)):
        if found := shutil.which(known, path=path):
            return Path(found)
    return None
