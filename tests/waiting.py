"""Wait for a state of the world, never for an amount of time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(predicate: Callable[[], T], seconds: float, what: str, every: float = 0.05) -> T:
    """Call `predicate` until its answer is true, and return that answer.

    Raises AssertionError, naming `what` and the last answer or error, once `seconds` have passed.
    """
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
