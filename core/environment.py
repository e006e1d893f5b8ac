"""The settings of the machine: the process environment over the `.env` file."""

import io
import os
from pathlib import Path

from dotenv.parser import parse_stream

from core.faults import ConfigError, Fault
from core.plain_files import read_text


def load_environment(root: Path) -> dict[str, str]:
    """Return `.env` below `root` with the process environment laid over it.

    Relative paths in the NAME_FILE of `.env` start from `root`, wherever the program was started.
    `os.environ` stays as it is. Raises ConfigError when `.env` is there but unreadable.
    """
    file = root / ".env"
    values = {key: _rooted(key, value, root) for key, value in env_file(file).items()}
    return {**values, **os.environ}


def env_file(file: Path) -> dict[str, str]:
    """Return what a `.env` sets, empty where it is not there.

    Raises ConfigError when it cannot be read. What stands in a line is not shown: it may be a password.
    """
    try:
        bindings = list(parse_stream(io.StringIO(read_text(file, "utf-8-sig"))))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError.single(str(file), "", f"cannot read this file: {cause}") from error
    wrong = [binding.original.line for binding in bindings if binding.error]
    if wrong:
        mend = (
            "must be NAME=value; a value with blanks, quotes or # stands in single quotes, which are closed"
        )
        raise ConfigError(Fault(str(file), f"line {line}", mend) for line in wrong)
    return {one.key: one.value for one in bindings if one.key is not None and one.value is not None}


def _rooted(key: str, value: str, root: Path) -> str:
    return str((root / value).absolute()) if key.endswith("_FILE") and value else value
