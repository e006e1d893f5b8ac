"""The one way to make a probe: any target, any module, always a Result."""

import logging
import time
from collections.abc import Callable, Collection
from types import TracebackType

from core.logs import fields
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


class Probers:
    """Every prober, over one engine and one resolver, on the running loop."""

    def __init__(self, engine: Engine, resolver: Resolver, on_fault: Callable[[], None]) -> None:
        """Probe with `engine` and `resolver`; `on_fault` is called when a prober itself breaks."""
        self.engine = engine
        self.resolver = resolver
        self._own: dict[str, Resolver] = {}
        """The resolvers of sites that have one of their own, by its address."""
        self._on_fault = on_fault
        self._complaints: dict[int, tuple[Module, tuple[str, str] | None]] = {}

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
        complaint = self.complaint(module)
        if complaint is not None:
            reading.fail(Reason.ERROR, f"the module's {complaint[0]}: {complaint[1]}")
        else:
            asked = self.resolver if resolver is None else self._resolver(resolver)
            attempt = Attempt(
                target, module.options, started + timeout, hostname, log, self.engine, asked, barred
            )
            await self._run(module.prober, attempt, reading)
        return _result(module.prober, reading, began, time.monotonic() - started)

    def complaint(self, module: Module) -> tuple[str, str] | None:
        """Return why the module cannot be used, as (key, message), None where it can; kept per module."""
        known = self._complaints.get(id(module))
        if known is None:
            if len(self._complaints) >= _MODULES_KEPT:
                self._complaints.clear()
            # The module is held too, so that its id is not another's.
            known = self._complaints[id(module)] = (module, next(iter(module.complaints()), None))
        return known[1]

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
    return Result(
        success=reading.reason is None,
        reason=reading.reason,
        detail=reading.detail,
        time=began,
        duration=reading.resolve + reading.transfers if reading.transfers else around,
        phases=Phases(
            reading.resolve, reading.connect, reading.tls_time, reading.processing, reading.transfer
        ),
        dns_lookup_time=reading.resolve,
        ip_protocol=(6 if ":" in address else 4) if address else 0,
        ip_addr_hash=address_hash(address) if address else 0,
        prober=prober,
        facts=reading.facts,
        tls=reading.tls,
    )
