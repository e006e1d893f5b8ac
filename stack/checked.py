"""Let Prometheus's and Alertmanager's own tools read what was rendered (promtool: the rules too)."""

import subprocess
from pathlib import Path

from stack.masking import Mask
from stack.programs import find_program

# file below the rendered folder → the command that reads it
_READERS = {
    "prometheus/prometheus.yml": ("promtool", "check", "config"),
    "alertmanager/alertmanager.yml": ("amtool", "check-config"),
}


def unchecked() -> list[str]:
    """Return a line for each file that no tool here reads."""
    return [
        f"{name} was not checked: {tool} is not installed here."
        for name, (tool, *_) in _READERS.items()
        if find_program(tool) is None
    ]


def faults(rendered: Path) -> list[str]:
    """Return what the tools find wrong with the configuration in `rendered`; nothing when it is sound."""
    found, mask = [], Mask(rendered / "alertmanager" / "secrets")
    for name, (tool, *words) in _READERS.items():
        program = find_program(tool)
        if program is None:
            continue
        done = subprocess.run(
            (program, *words, rendered / name), capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            said = mask((done.stdout + done.stderr).strip()).replace("\n", "\n  ")
            found.append(f"{name}: {tool} refuses it:\n  {said}")
    return found
