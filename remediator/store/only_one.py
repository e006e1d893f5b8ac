"""One remediator for one SQLite file: two would each keep the other from writing."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from remediator.errors import StartError

PATIENCE = 3.0
"""Seconds in which the one before may come to its end."""


@contextmanager
def only_one(storage_url: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the file's lock, which ends with the process however it ends; StartError where another has it."""
    path = _file(storage_url)
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}; give a writable --storage.url") from error
    try:
        _take(lock, path, time.monotonic() + patience)
        yield
    finally:
        os.close(lock)


def _file(storage_url: str) -> Path | None:
    try:
        url = make_url(storage_url)
    except ArgumentError:
        return None  # told when it is opened
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(f"{url.database}.lock")


def _take(lock: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                database = path.with_suffix("")
                raise StartError(
                    f"another remediator works with {database}: stop it, or give another --storage.url"
                ) from None
            time.sleep(0.1)
        else:
            return
