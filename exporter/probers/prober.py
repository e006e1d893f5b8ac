"""What a prober is: a name, its options, and one coroutine."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from core.logs import logfmt_value
from core.sites import Options
from exporter.engine import Engine
from exporter.families import Family
from exporter.labels import Labels
from exporter.reason import Reason
from exporter.resolve import Resolver
from exporter.result import Result, TLSFacts
from exporter.target import TargetError

LONGEST_DETAIL = 300
"""Characters of a failure's sentence, which goes into logs, mails and the results file."""

LONGEST_LOG = 16_384
"""Characters of the steps of one probe: who probes a hostile site keeps no more of what it sent."""
_STEP_COSTS = 100


class ProbeLog:
    """The steps of one probe, kept for those who may ask; written out only when they do."""

    __slots__ = ("_room", "_steps")

    def __init__(self) -> None:
        self._steps: list[tuple[float, str, dict[str, object]]] = []
        self._room = LONGEST_LOG

    def add(self, message: str, /, **fields: object) -> None:
        """Note one step; never hand in a secret. What is beyond `LONGEST_LOG` characters is left out."""
        if self._room <= 0:
            return
        for name, value in fields.items():
            if isinstance(value, str):
                if len(value) > self._room:
                    fields[name] = f"{value[: self._room]}…"
                self._room -= len(value)
        self._room -= _STEP_COSTS
        self._steps.append((time.time(), message, fields))

    @property
    def lines(self) -> list[str]:
        """Return the steps, one a line whatever a site sent."""
        return [_line(message, fields) for _, message, fields in self._steps]

    @property
    def dated_lines(self) -> list[str]:
        """Return the steps, each with its time in front."""
        return [f"time={_clock(when)} {_line(message, fields)}" for when, message, fields in self._steps]


def _line(message: str, fields: Mapping[str, object]) -> str:
    return " ".join([message, *(f"{key}={logfmt_value(value)}" for key, value in fields.items())])


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Barred = Callable[[str, int | None, str], bool]
"""Says of a host, a port (None: the target's own) and an address of that host that it is barred."""


@dataclass(slots=True)
class Attempt:
    """One probe to be made; nobody changes it."""

    target: str
    options: Any
    """An instance of the prober's own options model."""
    deadline: float
    """`time.monotonic()` at which the whole probe must be over."""
    hostname: str | None
    """The host name to ask for in place of the target's (Host header, TLS server name)."""
    log: ProbeLog | None
    engine: Engine
    resolver: Resolver
    barred: Barred | None = None
    """Says where this probe may not connect to; None: it may to any place."""


@dataclass(slots=True)
class Reading:
    """What a probe has found so far; a prober fills it in, nobody else sees it."""

    reason: Reason | None = None
    detail: str = ""
    resolve: float = 0.0
    connect: float = 0.0
    tls_time: float = 0.0
    processing: float = 0.0
    transfer: float = 0.0
    transfers: float = 0.0
    """Seconds of libcurl's transfers by its own clock, in which no work of ours is; 0 without any."""
    address: str | None = None
    """The address that was last connected to."""
    facts: Any = None
    """What only this protocol tells, of its own type; its `lines` read it."""
    tls: TLSFacts | None = None

    def fail(self, reason: Reason, detail: str) -> None:
        """Note why the probe failed; the first reason stays."""
        if self.reason is None:
            self.reason, self.detail = reason, _short(detail)


def _short(detail: str) -> str:
    """Cut a sentence that would be long only because a site sent what is long."""
    return detail if len(detail) <= LONGEST_DETAIL else f"{detail[: LONGEST_DETAIL - 1]}…"


def _none(_options: object) -> list[tuple[str, str]]:
    return []


class Place(NamedTuple):
    """Where a target is, for comparing; scheme and path (with its query) only where they count."""

    host: str
    port: int
    scheme: str = ""
    path: str = ""


def _nowhere(target: str) -> Place:
    raise TargetError(f"{target!r} cannot be read")


def _no_lines(_result: Result, _labels: Labels) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Prober:
    """One protocol: the key of its options in a module, their model, how to probe, and what it tells."""

    name: str
    options: type[Options]
    probe: Callable[[Attempt, Reading], Awaitable[None]]
    """Fills the reading in. May raise TargetError and ResolveError; nothing else for a site's failure."""
    complaints: Callable[[Any], list[tuple[str, str]]] = _none
    """Says what of these options cannot be used yet: (key, message)."""
    schemes: tuple[str, ...] = ()
    """What a URL that this prober is for begins with."""
    place: Callable[[str], Place] = _nowhere
    """Reads a target, with a scheme or without. Raises TargetError."""
    module: str = ""
    """The module of a target that names none."""
    families: tuple[Family, ...] = ()
    """The metrics that only this protocol has."""
    lines: Callable[[Result, Labels], tuple[str, ...]] = _no_lines
    """Writes them, one string per family; called only with a result that holds facts."""
    networked: bool = True
    """Its targets have addresses."""
