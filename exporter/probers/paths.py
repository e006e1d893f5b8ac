"""Files that options name: where their paths start, and what stands in them."""

from pathlib import Path
from typing import Any, TypeVar

from core.faults import ConfigError
from core.secrets import Secret, read_secret_file
from core.sites import Options

M = TypeVar("M", bound=Options)


class FileError(Exception):
    """A file that an option names cannot be read; the message says which and why."""


def rooted(options: M, folder: Path) -> M:
    """Return `options` with every relative path in them, however deep, starting from `folder`."""
    changes: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Path) and not value.is_absolute():
            changes[name] = folder / value
        elif isinstance(value, Options):
            changes[name] = rooted(value, folder)
    return options.model_copy(update=changes) if changes else options


def named_files(options: Options, prefix: str = "") -> list[tuple[str, Path]]:
    """Return every file that `options` name, as (key, path)."""
    found: list[tuple[str, Path]] = []
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Path):
            found.append((f"{prefix}{name}", value))
        elif isinstance(value, Options):
            found += named_files(value, f"{prefix}{name}.")
    return found


def unreadable_files(options: Options) -> list[tuple[str, Path, str]]:
    """Say which files that `options` name cannot be read, as (key, path, message)."""
    faults = []
    for key, path in named_files(options):
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            faults.append((key, path, f"cannot read {path}: {error.strerror}"))
    return faults


def secret_of(value: Secret | None, file: Path | None) -> str:
    """Return the secret given by value or by file; empty where there is neither. Raises FileError."""
    if file is None:
        return value.reveal() if value else ""
    try:
        return read_secret_file(file).reveal()
    except ConfigError as error:
        raise FileError(str(error)) from error


def bytes_of(file: Path) -> bytes:
    """Return what stands in `file`. Raises FileError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {file}: {error.strerror}") from error
