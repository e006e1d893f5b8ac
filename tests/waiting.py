"""Wait for a state of the world, never for an amount of time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
AT_LEAST = 30.0
"""Seconds that are waited in any case: a quiet machine needs none of them, and a busy one many."""


def until(predicate: Callable[[], T], seconds: float, what: str, every: float = 0.05) -> T:
    """Call `predicate` until its answer is true, and return that answer.

    Raises AssertionError, naming `what` and the last answer or error, once `seconds` have passed, and
    AT_LEAST: nothing is shown to be quick by this.
    """
    seconds = max(seconds, AT_LEAST)
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            answer = predicate()
        except (OSError, AssertionError, LookupError, ValueError) as error:
            last = error
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}; last seen: {last!r}")
        time.sleep(every)
