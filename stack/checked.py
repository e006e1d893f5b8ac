"""Let Prometheus's and Alertmanager's own tools read what was rendered, where they are installed."""

import subprocess
from pathlib import Path

from stack.programs import find_program

# file below the rendered folder → the command that reads it
_READERS = {
    "prometheus.yml": ("promtool", "check", "config"),
    "alertmanager.yml": ("amtool", "check-config"),
}


def faults(rendered: Path) -> list[str]:
    """Return what the tools find wrong with the configuration in `rendered`; nothing when it is sound."""
    found = []
    for name, (tool, *words) in _READERS.items():
        program = find_program(tool)
        if program is None:
            continue
        done = subprocess.run(
            (program, *words, rendered / name), capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().replace("\n", "\n  ")
            found.append(f"{name}: {tool} refuses it:\n  {said}")
    return found
