"""How often something may be done: a few times at once, then one every interval."""


class Allowance:
    """Lets `burst` through at once and then one every `interval` seconds."""

    __slots__ = ("_burst", "_full_at", "_interval")

    def __init__(self, burst: int, interval: float) -> None:
        self._burst = burst
        self._interval = interval
        self._full_at = 0.0
        """When all of the burst is there again, on the monotonic clock."""

    def takes(self, now: float) -> bool:
        """Say whether one more may be done at `now` (monotonic), and count it if so."""
        full_at = max(self._full_at, now) + self._interval
        if full_at - now > self._interval * self._burst:
            return False
        self._full_at = full_at
        return True
