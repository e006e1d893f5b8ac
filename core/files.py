"""Write files whole: a reader sees the old one or the new one, never a half. Say why one cannot be."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

_NOT_WRITTEN = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM),
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    }
)
"""What a disk answers that does not take a file; anything else is no disk's doing, or not surely."""


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


def unwritable(error: OSError, path: Path) -> str:
    """Return why `path` cannot be written, in words.

    A file system without a free inode calls itself full as well, and `df` shows nothing of it.
    """
    if error.errno == errno.ENOSPC and _has_no_inode(path):
        return (
            "its file system has no inode left for another file (df -i): too many files, not too much in them"
        )
    return error.strerror or str(error)


def told(error: OSError, path: Path) -> str:
    """Return a whole sentence of it: the file that it names, else `path`, and why.

    Where it is not about writing, the error's own words.
    """
    if error.errno not in _NOT_WRITTEN:
        return str(error)
    at = Path(error.filename) if isinstance(error.filename, str) else path
    return f"{at} cannot be written: {unwritable(error, at)}"


def _has_no_inode(path: Path) -> bool:
    folder = next((one for one in path.absolute().parents if one.is_dir()), Path("/"))
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_files > 0 and found.f_favail == 0
    return False


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
