"""What is kept of a command's output, and how it is shown."""

from __future__ import annotations

MOST_BYTES = 256 * 1024
"""What is kept of each stream: an inspect is some 10 KiB, twenty log lines rarely more."""


class CappedOutput:
    """Takes a whole stream and keeps its beginning."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept = bytearray()
        self.truncated = False

    def add(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._most - len(self._kept)
        self._kept += piece[:room]
        self.truncated = self.truncated or len(piece) > room

    @property
    def text(self) -> str:
        """Return what was kept, whatever the bytes were."""
        return self._kept.decode("utf-8", "replace")


def printable(text: str) -> str:
    """Return a text that came from a server without what a terminal or a page would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
