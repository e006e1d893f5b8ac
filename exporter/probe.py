"""The one way to make a probe: any target, any module, always a Result."""

import logging
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import NamedTuple

from core.logs import fields
from core.sites import Options
from exporter.engine import Engine, EngineClosedError
from exporter.module import Module
from exporter.probers import PROBERS, Attempt, ProbeLog, Reading
from exporter.probers.paths import FileError
from exporter.probers.prober import Barred
from exporter.reason import Reason
from exporter.resolve import ResolveError, Resolver, address_hash
from exporter.result import Phases, Result
from exporter.target import TargetError, instance

logger = logging.getLogger(__name__)

_MODULES_KEPT = 1000


class _Usable(NamedTuple):
    """A module as it has been looked at: its own attributes take their time, being a pydantic model's."""

    module: Module
    """Held, so that its id is not another's."""
    prober: str
    options: Options
    complaint: tuple[str, str] | None


class Probers:
    """Every prober, over one engine and one resolver, on the running loop."""

    def __init__(self, engine: Engine, resolver: Resolver, on_fault: Callable[[], None]) -> None:
        """Probe with `engine` and `resolver`; `on_fault` is called when a prober itself breaks."""
        self.engine = engine
        self.resolver = resolver
        self._own: dict[str, Resolver] = {}
        """The resolvers of sites that have one of their own, by its address."""
        self._on_fault = on_fault
        self._usable: dict[int, _Usable] = {}

    @classmethod
    def start(cls, on_fault: Callable[[], None] = lambda: None) -> "Probers":
        """Make one with its own engine and resolver; needs a running loop, and `close()` in the end."""
        return cls(Engine(), Resolver(), on_fault)

    async def close(self) -> None:
        """Abandon what is in flight and free all descriptors."""
        self.engine.close()
        self.keep_resolvers(())
        await self.resolver.close()

    def keep_resolvers(self, addresses: Collection[str]) -> None:
        """Close the resolvers of one's own that are not among `addresses` any more."""
        for address in [address for address in self._own if address not in addresses]:
            self._own.pop(address).close_now()

    def _resolver(self, address: str) -> Resolver:
        if address not in self._own:
            self._own[address] = Resolver([address])
        return self._own[address]

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
        timeout: float,  # noqa: ASYNC109 - libcurl keeps it, in C
        *,
        hostname: str | None = None,
        log: ProbeLog | None = None,
        barred: Barred | None = None,
        resolver: str | None = None,
    ) -> Result:
        """Probe `target` once as `module` says, within `timeout` seconds.

        Never raises for a target that fails, is misspelt or cannot be probed: that is a Result with a
        reason. `hostname` asks for that name in place of the target's; `log` collects the steps; an address
        that is `barred` is not connected to; `resolver` is the name server to ask alone.
        """
        began, started = time.time(), time.monotonic()
        reading = Reading()
        usable = self._look_at(module)
        complaint = usable.complaint
        if complaint is not None:
            reading.fail(Reason.ERROR, f"the module's {complaint[0]}: {complaint[1]}")
        else:
            asked = self.resolver if resolver is None else self._resolver(resolver)
            attempt = Attempt(
                target, usable.options, started + timeout, hostname, log, self.engine, asked, barred
            )
            await self._run(usable.prober, attempt, reading)
        return _result(usable.prober, reading, began, time.monotonic() - started)

    def complaint(self, module: Module) -> tuple[str, str] | None:
        """Return why the module cannot be used, as (key, message), None where it can."""
        return self._look_at(module).complaint

    def _look_at(self, module: Module) -> "_Usable":
        known = self._usable.get(id(module))
        if known is None:
            if len(self._usable) >= _MODULES_KEPT:
                self._usable.clear()
            complaint = next(iter(module.complaints()), None)
            known = self._usable[id(module)] = _Usable(module, module.prober, module.options, complaint)
        return known

    async def _run(self, prober: str, attempt: Attempt, reading: Reading) -> None:
        """Run the prober; what it raises becomes a reason here and nowhere else."""
        try:
            await PROBERS[prober].probe(attempt, reading)
        except ResolveError as error:
            reading.fail(Reason.DNS, str(error))
        except (TargetError, FileError) as error:
            reading.fail(Reason.ERROR, str(error))
        except EngineClosedError:
            reading.fail(Reason.ERROR, "the exporter is stopping")
        except Exception as error:
            self._on_fault()
            shown = instance(attempt.target)
            logger.exception("probe failed by itself", extra=fields(instance=shown, prober=prober))
            reading.fail(Reason.ERROR, f"the probe itself failed ({type(error).__name__})")


def _result(prober: str, reading: Reading, began: float, around: float) -> Result:
    """Sum a probe up; `around` are the seconds by the clock around it, with our own queue in them."""
    address = reading.address
    return Result(  # by place: with names it takes twice as long
        reading.reason is None,
        reading.reason,
        reading.detail,
        began,
        reading.resolve + reading.transfers if reading.transfers else around,
        Phases(reading.resolve, reading.connect, reading.tls_time, reading.processing, reading.transfer),
        reading.resolve,
        (6 if ":" in address else 4) if address else 0,
        address_hash(address) if address else 0,
        prober,
        reading.facts,
        reading.tls,
    )
