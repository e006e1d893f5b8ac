"""Write files whole: a reader sees the old one or the new one, never a half."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.durations import format_duration

_HEADER = "# Written by `./sitemedic render` out of sites.yml and .env: edit those, not this.\n"

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: the routes of thousands of sites in a second, not in ten."""


def write_whole(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write `text` to `path` by renaming a finished file onto it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


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
