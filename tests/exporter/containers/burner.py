"""Use a known share of a CPU, hold known memory, and write down what that was by this process's own account.

Runs in a container: burner.py SHARE MEBIBYTES FILE. Each line there: unix time, seconds of CPU, bytes held.
"""

import sys
import time

PERIOD = 0.1
STEP = 0.003
"""Seconds of CPU between two lines: what may be wrong about a moment in between."""


def main() -> None:
    share, size = float(sys.argv[1]), int(sys.argv[2])
    held = bytearray(b"x" * 4096) * (size * 256)
    with open(sys.argv[3], "w", buffering=1) as told:  # noqa: PTH123 - runs alone, anywhere
        while held:
            began, used, own = time.monotonic(), time.process_time(), private_bytes()
            while (now := time.process_time()) - used < share * PERIOD:
                told.write(f"{time.time()!r} {now!r} {own}\n")
                while time.process_time() - now < STEP:
                    pass
            time.sleep(max(0.0, began + PERIOD - time.monotonic()))


def private_bytes() -> int:
    """Return the memory that is this process's own, by the kernel's account of the process."""
    with open("/proc/self/status") as status:  # noqa: PTH123
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


main()
