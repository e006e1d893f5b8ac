"""Write what is rendered: a configuration as YAML, a folder of files, a duration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.durations import format_duration
from core.files import write_whole

_HEADER = "# Written by `./sitemedic render` out of sites.yml and .env: edit those, not this.\n"

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: the routes of thousands of sites in a second, not in ten."""


def write_yaml(path: Path, config: Mapping[str, Any], mode: int = 0o644) -> Path:
    """Write a configuration as YAML."""
    text = yaml.dump(dict(config), Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=110)
    return write_whole(path, _HEADER + text, mode)


def copy_all(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Make `folder` hold exactly `texts`, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_whole(folder / name, text) for name, text in sorted(texts.items())]
    for path in folder.iterdir():
        if path.name not in texts and not path.name.startswith("."):
            path.unlink()
    return written


def prometheus_duration(seconds: float) -> str:
    """Write a duration as Prometheus and Alertmanager read it: whole numbers only (`1500ms`, `1m30s`)."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else format_duration(seconds)
