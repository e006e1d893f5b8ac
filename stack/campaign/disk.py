"""A small disk that can be full: a tmpfs in a mount namespace that ends with this process."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_MNT_DETACH = 2
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_SIZE = "size=192m,mode=0700"


class SmallDisk:
    """A folder that may be a disk of its own; to be made before any thread is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.can_be_full = os.geteuid() == 0 and _mount(folder)
        self._filler = folder / "filler"

    def close(self) -> None:
        """Take the disk away, with what is on it."""
        if self.can_be_full:
            ctypes.CDLL(None).umount2(os.fsencode(self.folder), _MNT_DETACH)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb", buffering=0) as file:
            free = os.statvfs(self.folder)
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            with suppress(OSError):
                while True:
                    file.write(b"x" * 4096)

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)


def _mount(folder: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return False
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    return bool(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, _SIZE.encode()) == 0)
