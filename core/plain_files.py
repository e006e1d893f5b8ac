"""Read the text of a file that a person put there, and wait for nobody."""

import errno
import os
import stat
from pathlib import Path


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return the text at `path`. Raises OSError or UnicodeDecodeError.

    A pipe without a writer would hold whoever opens it for good, past every signal: it is refused.
    """
    with open(path, encoding=encoding, opener=_at_once) as file:
        piped = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        if piped:
            os.set_blocking(file.fileno(), True)
        text = file.read()
        if piped and not text:
            raise OSError(errno.ENXIO, "a pipe that nobody writes into", str(path))
        return text


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
