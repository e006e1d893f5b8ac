"""The settings of the machine: the process environment over the `.env` file."""

import os
from pathlib import Path

from dotenv import dotenv_values

from core.faults import ConfigError


def load_environment(root: Path) -> dict[str, str]:
    """Return `.env` below `root` with the process environment laid over it.

    Relative paths in the NAME_FILE of `.env` start from `root`, wherever the program was started.
    `os.environ` stays as it is. Raises ConfigError when `.env` is there but unreadable.
    """
    file = root / ".env"
    values: dict[str, str] = {}
    if file.exists():
        try:
            found = dotenv_values(file, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigError.single(str(file), "", f"cannot read this file: {cause}") from error
        values = {key: _rooted(key, value, root) for key, value in found.items() if value is not None}
    return {**values, **os.environ}


def _rooted(key: str, value: str, root: Path) -> str:
    return str((root / value).absolute()) if key.endswith("_FILE") and value else value
