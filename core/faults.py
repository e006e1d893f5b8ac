"""What is wrong with a user's configuration, told all at once.

ConfigError        one or more faults; nothing was changed
"""

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_QUOTED = 80
"""Characters of a value that a message may repeat."""


def quoted(value: object) -> str:
    """Repeat a value in a message: the beginning of one line, and of what is no single value only its kind.

    Where a line is indented wrongly, a whole block is one value, and there may be a password in it.
    """
    if isinstance(value, dict | list | tuple | set):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value)
    line = text.partition("\n")[0]
    if line == text and len(text) <= LONGEST_QUOTED:
        return repr(value)
    return repr(f"{line[:LONGEST_QUOTED]}…")


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

    @classmethod
    def unforeseen(cls, file: str, error: Exception) -> "ConfigError":
        """Make an error of what nobody thought of; what it says itself may hold a secret, and stays out."""
        said = f"could not be taken for a fault of Sitemedic itself ({type(error).__name__})"
        return cls.single(
            file, "", f"{said}: its log says where; undo the last change of the file, and report it"
        )
