"""What is wrong with a user's configuration, told all at once.

ConfigError        one or more faults; nothing was changed
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One fault: the file, the path inside it (may be empty) and what to do about it."""

    file: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(piece for piece in (self.file, self.path, self.message) if piece)


class ConfigError(Exception):
    """A configuration that cannot be used; `str()` gives every fault, one a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))

    @classmethod
    def single(cls, file: str, path: str, message: str) -> "ConfigError":
        """Make an error of one fault."""
        return cls([Fault(file, path, message)])
