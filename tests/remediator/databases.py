"""Which database the tests of a module run on: SQLite, and PostgreSQL too; see conftest.py beside this."""

from collections.abc import Callable
from pathlib import Path

Place = Callable[[Path], str]


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/remediator.db"


_place: list[Place] = [sqlite]


def storage_url(folder: Path) -> str:
    """Return the database of a test's folder: always the same one for the same folder."""
    return _place[-1](folder)


def use(place: Place) -> None:
    """Have databases where `place` says, until `leave`."""
    _place.append(place)


def leave() -> None:
    _place.pop()
