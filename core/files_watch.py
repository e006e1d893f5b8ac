"""Notice that files changed, also when an editor replaced them by new ones."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_Print = tuple[tuple[int, int, int] | None, str]


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


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _digest(path: Path) -> str:
    """Return a print of a file's content, or of the names in a folder."""
    try:
        if path.is_dir():
            return "\n".join(sorted(entry.name for entry in path.iterdir()))
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
