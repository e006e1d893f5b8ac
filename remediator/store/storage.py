"""Which database: the flag, STORAGE_URL, or the file beside us; and the wait for one that just starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from core.faults import ConfigError
from core.logs import fields
from core.secrets import from_environment
from remediator.errors import StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")
DEFAULT = "sqlite:///data/remediator.db"
START_PATIENCE = 60.0
"""Seconds that PostgreSQL may take to be there at our start; it may have been started together with us."""


def storage_url(flag: str | None, environ: Mapping[str, str]) -> str:
    """Return the database's URL; raise ConfigError for a password that anybody could read in `ps`."""
    if flag is None:
        found = from_environment("STORAGE_URL", environ)
        return found.reveal().strip() if found is not None else DEFAULT
    try:
        password = make_url(flag).password
    except ArgumentError:
        return flag  # told when it is opened
    if password is not None:
        mend = "must not hold a password, which `ps` would show: set STORAGE_URL, or STORAGE_URL_FILE"
        raise ConfigError.single("command line", "--storage.url", mend)
    return flag


def once_there(open_it: Callable[[], T], url: str, patience: float = START_PATIENCE) -> T:
    """Open what needs the database, waiting for a PostgreSQL that is not there yet; raise StoreError."""
    deadline = time.monotonic() + (0.0 if url.startswith("sqlite") else patience)
    while True:
        try:
            return open_it()
        except StoreError as error:
            if time.monotonic() >= deadline:
                raise
            log.warning("database unavailable, still waiting for it", extra=fields(reason=str(error)))
            time.sleep(1.0)
