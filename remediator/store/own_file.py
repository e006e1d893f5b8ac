"""SQLite's file under a running remediator: gone, back again, or another one in its place."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from core.logs import fields
from remediator.errors import StoreError

log = logging.getLogger(__name__)
_Identity = tuple[int, int] | None


def watch_file(engine: Engine, path: Path) -> None:
    """Use no connection to a file that has gone from its place: what is written there would be lost.

    Nor is an empty one made in its stead; once a file is there again, it is opened anew. The log of the file
    before it is set aside then: SQLite would write that into the new one, and ruin it.
    """
    used = _Used(path)

    def connect(_dialect: object, _record: Any, _arguments: object, _options: object) -> None:
        if not path.exists():
            raise StoreError(f"the database {path} has gone: put it back, or start Sitemedic anew without it")
        used.set_aside_the_log_of_another()

    def connected(_connection: object, record: Any) -> None:
        record.info["file"] = used.now()

    def checkout(_connection: object, record: Any, _proxy: object) -> None:
        if record.info.get("file") != identity(path):
            raise DisconnectionError(f"{path} is another file by now")
        used.see_the_log()

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", checkout)


@dataclass
class _Used:
    """The file that connections were last opened to, and its log."""

    path: Path
    file: _Identity = None
    log: _Identity = None

    def now(self) -> _Identity:
        """Remember what a connection that was just opened uses; return the file's identity."""
        self.file, self.log = identity(self.path), identity(_beside(self.path, "-wal"))
        return self.file

    def see_the_log(self) -> None:
        """Remember the log: made with the first transaction, it stays for as long as connections do."""
        if self.log is None:
            self.log = identity(_beside(self.path, "-wal"))

    def set_aside_the_log_of_another(self) -> None:
        """Take the log of the file before out of the way, where another file is in its place."""
        wal = _beside(self.path, "-wal")
        if self.file in (None, identity(self.path)) or self.log is None or identity(wal) != self.log:
            return
        aside = _beside(self.path, "-wal.replaced")
        try:
            wal.replace(aside)
            _beside(self.path, "-shm").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot move {wal} away, which is another database's: {error.strerror}"
            ) from error
        log.warning(
            "another database file is in place now", extra=fields(file=self.path, log_of_the_old=aside)
        )


def identity(path: Path) -> _Identity:
    """Return what tells a file from another one in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
