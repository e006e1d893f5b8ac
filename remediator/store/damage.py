"""A SQLite file that was cut short or written over in its place: nothing is done on half a memory.

SQLite looks at a page when it needs it, so parts of a damaged file seem sound, and a history without its last
attempt would allow one more. So one sign of damage is enough: nobody uses the file until all of it was found
sound, or another one is in its place. That is looked for in the background, every few seconds; where somebody
has written to the file who may, as with sqlite3's shell, it takes a moment.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from core.logs import fields
from remediator.errors import StoreError

log = logging.getLogger(__name__)
SIGNS = ("malformed", "not a database")
"""What SQLite says of a file that is damaged."""
AGAIN = 2.0
"""Seconds between two looks at a damaged file; as long as the last look took, where that was longer."""


class Damage:
    """What is known of one file's soundness; safe to use from many threads."""

    def __init__(self, path: Path, guest: bool = False) -> None:
        self._path = path
        self._guest = guest
        """The file is another process's, which may write it at any time: only SQLite tells of damage."""
        self._lock = threading.Lock()
        self._found = ""
        self._sure = False
        self._size = 0
        self._in_use: set[object] = set()
        self._left: tuple[int, int] | None = None
        """When the file was last written, and its size, as we left it."""
        self._looking = False
        self._look_at = 0.0
        self.generation = 0
        """Rises with each damage found and with its end: connections from before are of no use."""

    def another(self) -> None:
        """Begin anew: another file is in its place."""
        with self._lock:
            self._size, self._left = 0, None

    def writes(self) -> None:
        """Expect it to be written: whoever closes the last connection puts its log into it."""
        with self._lock:
            self._left = None

    def take(self, user: object) -> None:
        """Let somebody use the file, which is as we left it; raise StoreError where it is not."""
        with self._lock:
            if self._found:  # since this connection was asked for
                raise StoreError(self._told())
            there = self._stat()
            ours = self._in_use or self._left in (None, _left(there))
            shorter = there.st_size < self._size
            if self._guest or (ours and not shorter):
                self._in_use.add(user)
                self._size = there.st_size
                return
        raise self.sign(
            "it is shorter than before" if shorter else "somebody has written over it", sure=False
        )

    def give_back(self, user: object) -> None:
        """Note that somebody uses it no more, and as what the last one leaves it."""
        with self._lock:
            self._in_use.discard(user)
            if not self._in_use:
                try:
                    self._left = _left(self._stat())
                except StoreError:
                    self._left = None

    def sign(self, said: str, *, sure: bool = True) -> StoreError:
        """Take a sign of damage, be it `sure` or to be looked into; return the error to raise."""
        with self._lock:
            if not self._found:
                self.generation += 1
                log.warning("the database is looked through", extra=fields(file=self._path, reason=said))
            if sure or not self._found:
                self._found = said
            self._tell_damage(sure)
            return StoreError(self._told())

    def _tell_damage(self, sure: bool) -> None:
        if sure and not self._sure:
            log.error("the database is damaged", extra=fields(file=self._path, reason=self._found))
        self._sure = self._sure or sure

    def _stat(self) -> os.stat_result:
        try:
            return self._path.stat()
        except OSError as error:
            raise StoreError(f"the database {self._path} has gone: {error.strerror}") from error

    def check(self) -> None:
        """Raise StoreError while the file is damaged, and have it looked at."""
        with self._lock:
            if not self._found:
                return
            due = not self._looking and time.monotonic() >= self._look_at
            self._looking = self._looking or due
            told = self._told()
        if due:
            self._begin_look()
        raise StoreError(told)

    def _begin_look(self) -> None:
        try:
            threading.Thread(target=self._look, name="damage", daemon=True).start()
        except RuntimeError as error:  # no thread to be had: the next use asks for one again
            with self._lock:
                self._looking = False
            raise StoreError(f"the database {self._path} cannot be looked through now: {error}") from error

    def _told(self) -> str:
        if not self._sure:
            return f"the database {self._path} is looked through ({self._found}): it goes on if it is sound"
        mend = "copy a backup beside it and move that into its place (mv, not cp)"
        return (
            f"the database {self._path} is damaged ({self._found}): {mend}, or move it away and start "
            "Sitemedic anew; until then nothing is healed"
        )

    def _look(self) -> None:
        began = time.monotonic()
        try:
            self._take_answer(fault(self._path))
        finally:
            with self._lock:
                ended = time.monotonic()
                self._looking, self._look_at = False, ended + max(AGAIN, ended - began)

    def _take_answer(self, found: str) -> None:
        with self._lock:
            if found:
                self._found = found
                self._tell_damage(sure=True)
                return
            self._found, self._sure, self._size, self._left = "", False, 0, None
            self.generation += 1
        log.warning("the database is sound again", extra=fields(file=self._path))


def _left(there: os.stat_result) -> tuple[int, int]:
    return there.st_mtime_ns, there.st_size


def fault(path: Path) -> str:
    """Say what is wrong with a database file, nothing where all of it is sound and ours."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1.0)
        ) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT value FROM meta").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else " ".join(str(said).split())[:200]
