"""Probes targets in a process of its own, which may be allowed less than the tests are, and tells."""

import asyncio
import json
import sys

from exporter.module import Module
from exporter.probe import Probers
from tests.exporter.loopback import run


async def pinged(pings: list[tuple[str, dict[str, object]]]) -> list[tuple[bool, str | None, str]]:
    """Return success, reason and detail of each target with its options, all at once."""
    async with Probers.start() as probers:
        results = await asyncio.gather(
            *(
                probers.probe(target, Module.model_validate({"prober": "icmp", "icmp": options}), 1)
                for target, options in pings
            )
        )
    return [(result.success, result.reason, result.detail) for result in results]


if __name__ == "__main__":
    print(json.dumps(run(pinged(json.loads(sys.argv[1])))))
