"""SQLite's file under a running remediator: gone, back again, damaged, or another one in its place."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError

from core.logs import fields
from remediator.errors import StoreError
from remediator.store.damage import SIGNS, Damage

log = logging.getLogger(__name__)
_Identity = tuple[int, int] | None


def watch_file(engine: Engine, path: Path, guest: bool = False) -> None:
    """Use no connection to a file that has gone from its place: what is written there would be lost.

    Nor is an empty one made in its stead; once a file is there again, it is opened anew. The log of the file
    before it is set aside then: SQLite would write that into the new one, and ruin it. One that is damaged is
    not used until it is sound. A `guest` expects that another process, whose file it is, writes it meanwhile.
    """
    watch = _Watch(path, guest)
    event.listen(engine, "do_connect", watch.connect)
    event.listen(engine, "connect", watch.connected)
    event.listen(engine, "checkout", watch.checkout)
    event.listen(engine, "checkin", watch.checkin)
    event.listen(engine, "close", watch.closing)
    event.listen(engine, "handle_error", watch.failed, retval=True)


class _Watch:
    """What is asked at each use of a connection."""

    def __init__(self, path: Path, guest: bool) -> None:
        self._path = path
        self._used = _Used(path)
        self._damage = Damage(path, guest)

    def connect(self, _dialect: object, _record: Any, _arguments: object, _options: object) -> None:
        """Raise StoreError where there is no file to open, or none that may be used."""
        if not self._path.exists():
            text = f"the database {self._path} has gone: put it back, or start Sitemedic anew without it"
            raise StoreError(text)
        self._used.set_aside_the_log_of_another()
        self._damage.check()

    def connected(self, _connection: object, record: Any) -> None:
        """Remember which file, in which state, a connection was opened to."""
        before = self._used.file
        record.info["file"], record.info["generation"] = self._used.now(), self._damage.generation
        if before != self._used.file:
            self._damage.another()

    def checkout(self, _connection: object, record: Any, _proxy: object) -> None:
        """Let go of a connection that is not to the file as it is now."""
        there = _stat(self._path)
        if there is None or record.info.get("file") != (there.st_dev, there.st_ino):
            raise DisconnectionError(f"{self._path} is another file by now")
        if record.info.get("generation") != self._damage.generation:
            raise DisconnectionError(f"{self._path} was, or is, damaged")
        self._damage.take(record)
        self._used.see_the_log()

    def checkin(self, _connection: object, record: Any) -> None:
        """Note how the file was left."""
        self._damage.give_back(record)

    def closing(self, _connection: object, _record: object) -> None:
        """Let SQLite put its files in order."""
        self._damage.writes()

    def failed(self, context: ExceptionContext) -> StoreError | None:
        """Take what SQLite says of a damaged file in our words."""
        said = str(context.original_exception)
        return self._damage.sign(said) if any(sign in said for sign in SIGNS) else None


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
    found = _stat(path)
    return None if found is None else (found.st_dev, found.st_ino)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
