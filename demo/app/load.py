"""What loads the container: threads that burn CPU, and memory that is held for a while."""

import hashlib
import mmap
import time
from dataclasses import dataclass, field
from threading import Condition, Thread

from demo.app.bounds import FullError

_ROUNDS = 10_000  # some milliseconds of work, for which Python's own lock is not held


def burn(seconds: float) -> int:
    """Keep one core busy for so long, as far as it is to be had; return how many pieces of work were done."""
    deadline, pieces = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        hashlib.pbkdf2_hmac("sha256", b"the demo's shop", b"salt", _ROUNDS)
        pieces += 1
    return pieces


@dataclass
class Memory:
    """Memory that is really used, given back when its time is over; `most` megabytes in all."""

    most: int
    _held: list[tuple[float, int, mmap.mmap]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _keeper: Thread | None = None

    @property
    def held(self) -> int:
        """Return the megabytes that are held now."""
        with self._changed:
            return self._sum()

    def hold(self, megabytes: int, seconds: float) -> int:
        """Hold some more for so long; return how much is held then. Raises FullError."""
        with self._changed:
            if self._sum() + megabytes > self.most:
                raise FullError(
                    f"{self._sum()} MB are held already, and more than {self.most} MB are not allowed at once"
                )
            until = time.monotonic() + seconds
            self._held.append((until, megabytes, _touched(megabytes)))
            if self._keeper is None:
                self._keeper = Thread(target=self._keep, name="memory", daemon=True)
                self._keeper.start()
            self._changed.notify()
            return self._sum()

    def _sum(self) -> int:
        return sum(megabytes for _, megabytes, _ in self._held)

    def _keep(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for over in [one for one in self._held if one[0] <= now]:
                    self._held.remove(over)
                    over[2].close()
                self._changed.wait(min((one[0] - now for one in self._held), default=None))


def _touched(megabytes: int) -> mmap.mmap:
    """Take memory from the kernel and write to every page: what is not written to is not used."""
    area = mmap.mmap(-1, megabytes << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, len(area), mmap.PAGESIZE):
        area[start] = 1
    return area
