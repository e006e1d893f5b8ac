"""Notice that the wall clock was set, by somebody or because the machine's first time was wrong.

Prometheus compares the times that are published with its own clock. Those of a site would stay wrong until
its next probe, and each site seem not to have been probed for as long as the clock was moved.

A sleep of the machine, in which the monotonic clock stands still, cannot be told from that: times before it
move forward by it.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from core.logs import fields
from exporter.state import JUMP

_log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks."""


async def follow(on_set: Callable[[float, float], None]) -> None:
    """Call `on_set` with both clocks, wall and monotonic, when the wall clock was set; until cancelled."""
    ahead = time.time() - time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        wall, now = time.time(), time.monotonic()
        moved = wall - now - ahead
        if abs(moved) >= JUMP:
            ahead += moved
            _log.info("the wall clock was set", extra=fields(seconds=moved))
            on_set(wall, now)
