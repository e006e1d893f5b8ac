"""Write files whole: a reader sees the old one or the new one, never a half."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


def write_whole(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write `text` to `path` by renaming a finished file onto it. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            _write_down(file, text)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def write_first(path: Path, text: str) -> None:
    """Write `text` to `path`, for its owner alone; one that is there meanwhile stays. Raises OSError."""
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.") as file:  # 0600
        _write_down(file, text)
        with suppress(FileExistsError):
            path.hardlink_to(file.name)


def _write_down(file: IO[str], text: str) -> None:
    """Write what no power cut takes back."""
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
