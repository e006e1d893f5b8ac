"""What the demo breaks in the shop: it answers wrongly, is slow or dies.

A fault lives in the process's memory and comes in through its standard input, one JSON object a line
(`{"fault": "slow", "seconds": 0.6}`, `{"fault": null}`), so a restart of the container clears it.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

FAULTS = ("bad-response", "wrong-content", "slow", "die")
DEFAULT_SLOW_SECONDS = 1.5
DEATH_STATUS = 1


@dataclass
class Faults:
    """What is wrong with the site at this moment; shared by its threads."""

    fault: str | None = None
    slow_seconds: float = DEFAULT_SLOW_SECONDS

    def apply(self, line: str) -> None:
        """Take one line of control; raises ValueError, KeyError or TypeError where it is not understood."""
        order = json.loads(line)
        fault = order["fault"]
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}")
        self.slow_seconds = float(order.get("seconds") or self.slow_seconds)
        self.fault = fault
        if fault == "die":
            say("FATAL out of memory, giving up", sys.stderr)
            os._exit(DEATH_STATUS)

    def obey(self, lines: Iterable[str]) -> None:
        """Take lines of control until there are no more."""
        for line in lines:
            try:
                self.apply(line)
            except (ValueError, KeyError, TypeError) as error:
                say(f"control line not understood: {error}", sys.stderr)


def say(line: str, stream: TextIO | None = None) -> None:
    """Write a line to the container's log."""
    print(line, file=stream or sys.stdout, flush=True)
