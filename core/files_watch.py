"""Notice that files changed, also when an editor replaced them by new ones."""

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path

_Stat = tuple[int, int, int] | None
_Print = tuple[_Stat, str]


class FileWatcher:
    """Remember what files and folders looked like; ask `changed()` every couple of seconds.

    A stat is enough where nothing moved; where it did, the content decides, so that a touched
    file is no change.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._seen: dict[Path, _Print] = {}
        self.watch(paths)

    def watch(self, paths: Iterable[Path]) -> None:
        """Watch `paths` from now on, as they are now."""
        self._seen = {path: (_stat(path), _digest(path)) for path in paths}

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch `paths` from now on; those watched already as `changed()` last saw them.

        So what is written while the files are read is a change still: ask `changed()` before reading them.
        """
        self._seen = {path: self._seen.get(path) or (_stat(path), _digest(path)) for path in paths}

    def changed(self) -> bool:
        """Say whether a file's content differs from when this was last asked or told."""
        difference = False
        for path, (old_stat, old_digest) in self._seen.items():
            new_stat = _stat(path)
            if new_stat == old_stat:
                continue
            digest = _digest(path)
            self._seen[path] = (new_stat, digest)
            difference = difference or digest != old_digest
        return difference


def _stat(path: Path) -> _Stat:
    """Return what moves with a file's content, and with who may read it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ctime_ns, status.st_size, status.st_ino


def _digest(path: Path) -> str:
    """Return a print of a file's content, or of the names in a folder; what is neither is not opened."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "\n".join(["folder", *sorted(entry.name for entry in path.iterdir())])
        if not stat.S_ISREG(mode):
            return f"kind {stat.S_IFMT(mode)}"  # a pipe's end may never come
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"unreadable: {error.errno}"
