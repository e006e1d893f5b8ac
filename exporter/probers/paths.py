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
        found = _rooted(value, folder)
        if found is not value:
            changes[name] = found
    return options.model_copy(update=changes) if changes else options


def _rooted(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return value if value.is_absolute() else folder / value
    if isinstance(value, Options):
        return rooted(value, folder)
    if isinstance(value, dict) and any(isinstance(one, Options) for one in value.values()):
        return {key: _rooted(one, folder) for key, one in value.items()}
    if isinstance(value, tuple) and any(isinstance(one, Path) for one in value):
        return tuple(_rooted(one, folder) for one in value)
    return value


def named_files(options: Options, prefix: str = "") -> list[tuple[str, Path]]:
    """Return every file that `options` name, as (key, path)."""
    found: list[tuple[str, Path]] = []
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, tuple):
            found += [(f"{prefix}{name}[{at}]", one) for at, one in enumerate(value) if isinstance(one, Path)]
        elif isinstance(value, Path):
            found.append((f"{prefix}{name}", value))
        parts = {name: value} if isinstance(value, Options) else {}
        if isinstance(value, dict):
            parts = {f"{name}.{key}": one for key, one in value.items() if isinstance(one, Options)}
        for key, part in parts.items():
            found += named_files(part, f"{prefix}{key}.")
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
