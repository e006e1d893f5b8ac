"""Write files whole: a reader sees the old one or the new one, never a half."""

import os
from pathlib import Path


def write_whole(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write `text` to `path` by renaming a finished file onto it. Raises OSError."""
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
