"""What a prober is: a name, its options, and one coroutine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class ProbeLog:
    """The steps of one probe, kept only when somebody asked to see them."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, message: str, **fields: object) -> None:
        """Note one step; never hand in a secret."""
        self.lines.append(" ".join([message, *(f"{key}={value}" for key, value in fields.items())]))


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
