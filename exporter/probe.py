"""The one way to make a probe: any target, any module, always a Result."""

import asyncio
import logging
import time
from types import TracebackType

from core.logs import fields
from exporter.address import address_hash, address_protocol
from exporter.engine import Engine
from exporter.module import Module
from exporter.probers import PROBERS, Attempt, ProbeLog, Reading
from exporter.reason import Reason
from exporter.resolve import ResolveError, Resolver
from exporter.result import Phases, Result
from exporter.target import TargetError, instance

log = logging.getLogger(__name__)


class Probers:
    """Every prober, over one engine and one resolver, on the running loop."""

    def __init__(self, engine: Engine, resolver: Resolver) -> None:
        self.engine = engine
        self.resolver = resolver

    @classmethod
    def start(cls) -> "Probers":
        """Make one with its own engine and resolver; needs a running loop, and `close()` in the end."""
        return cls(Engine(), Resolver())

    async def close(self) -> None:
        """Abandon what is in flight and free all descriptors."""
        self.engine.close()
        await self.resolver.close()

    async def __aenter__(self) -> "Probers":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def probe(
        self,
        target: str,
        module: Module,
        timeout: float,
        *,
        hostname: str | None = None,
        log: ProbeLog | None = None,
    ) -> Result:
        """Probe `target` once as `module` says, within `timeout` seconds.

        Never raises for a target that fails, is misspelt or cannot be probed: that is a Result with a
        reason. `hostname` asks for that name in place of the target's; `log` collects the steps.
        """
        raise NotImplementedError
