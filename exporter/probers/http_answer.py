"""What comes back on one hop, taken piece by piece as libcurl reads it."""

from functools import lru_cache
from typing import NamedTuple

from exporter.probers.http_checks import Headers
from exporter.probers.http_options import HTTPOptions

KEPT_FOR_PATTERNS = 1 << 20
"""Bytes of a body that patterns see where no body_size_limit says otherwise."""
MOST_UNPACKED = 32 << 20
"""Bytes that a body may unpack to where no larger body_size_limit is set: a kilobyte can hold a megabyte of
zeros, and every probe waits while libcurl unpacks it."""

_ENDS_OF_HEAD = {b"\r\n", b"\n"}


class Room(NamedTuple):
    """How many bytes of a body are kept, and how many are taken at all; None: what libcurl lets through."""

    kept: int
    taken: int | None


def room_for(options: HTTPOptions) -> Room:
    """Return the room that an answer has under these options."""
    return _room(options.body_size_limit, options.compression not in ("", "identity"))


@lru_cache(maxsize=100)
def _room(limit: int, unpacks: bool) -> Room:
    return Room(limit or KEPT_FOR_PATTERNS, max(MOST_UNPACKED, limit) if unpacks else None)


class Answer:
    """What comes back on one hop; takes the pieces as libcurl reads them."""

    __slots__ = ("body", "head", "headers", "room", "size")

    def __init__(self, room: Room) -> None:
        self.room = room
        self.headers: Headers = []
        self.head: set[bytes] = set()
        """Lines of the headers, where nobody looks at them but for the one that ends them."""
        self.body = bytearray()
        self.size = 0

    def take_body(self, piece: bytes) -> int:
        """Count a piece of the body, and keep it while there is room; returns 0 to take no more."""
        left = self.room.kept - self.size
        self.size += len(piece)
        if left > 0:
            self.body += piece[:left]
        return len(piece) if self.room.taken is None or self.size <= self.room.taken else 0

    @property
    def is_whole(self) -> bool:
        """Say whether all of the body was kept."""
        return self.size <= self.room.kept

    @property
    def has_whole_head(self) -> bool:
        """Say whether the headers have come to their end: libcurl takes them also where they were cut off."""
        return not self.head.isdisjoint(_ENDS_OF_HEAD)

    def take_header(self, line: bytes) -> None:
        """Keep one header line; a new status line (after 100, after a proxy) forgets those before it."""
        if line in _ENDS_OF_HEAD:
            self.head.add(line)
        if line.startswith(b"HTTP/"):
            self.headers.clear()
            return
        name, colon, value = line.partition(b":")
        if colon:
            self.headers.append((name.decode("latin-1").strip().lower(), value.strip()))
