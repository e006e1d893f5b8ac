"""Look at everything again and again, a few at a time: a chore of the remediator, which only reads."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from core.logs import fields
from core.sites import Document
from remediator.abreast import abreast
from remediator.metrics import Metrics
from remediator.model.action import World
from remediator.readiness import servers
from remediator.readiness.check import Check, Report, counted
from remediator.readiness.plan import Plan, ServerPlan, plan_of
from remediator.readiness.surroundings import Surroundings, look_around, look_at_linode, look_at_token
from remediator.timing import Timing

log = logging.getLogger(__name__)
AT_ONCE = 4
AROUND = ""
"""The unit that is no server: what healing asks around itself."""
BUSY_AGAIN = 30.0
PAUSE = 1.0
"""Seconds between two handfuls at least: a look must not be felt."""


@dataclass
class _Unit:
    """One thing that is looked at at once: a server, or all that is around."""

    plan: ServerPlan | None
    checks: tuple[Check, ...]
    due: float
    seen: float | None = None


class Rounds:
    """Holds the newest answers, and asks anew what is due."""

    def __init__(
        self,
        around: Surroundings,
        world: Callable[[], World],
        busy: Callable[[], Collection[str]],
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
    ) -> None:
        self._around = around
        self._world = world
        self._busy = busy
        self._metrics = metrics
        self._timing = timing
        self._now = now
        self._lock = threading.Lock()
        self._plan = Plan({}, frozenset())
        self._units: dict[str, _Unit] = {}

    def take(self, document: Document) -> None:
        """Take a sites.yml: what is new or changed is looked at soon, what is gone is forgotten."""
        plan, now = plan_of(document), self._now()
        with self._lock:
            known, self._plan, self._units = self._units, plan, {}
            begin = now if known else now + self._timing.readiness_begins
            self._units[AROUND] = known.get(AROUND) or _Unit(None, (), begin)
            self._units[AROUND].due = begin
            for number, (name, one) in enumerate(plan.servers.items()):
                old = known.get(name)
                if old is not None and old.plan == one:
                    self._units[name] = old
                else:
                    due = begin + PAUSE * (number // AT_ONCE)
                    self._units[name] = _Unit(one, servers.without_looking(one), due)
        for one in plan.servers.values():
            for path, fault in one.file_faults:
                log.warning("a server could not be healed", extra=fields(fault=f"{path}: {fault}"))
        self._publish()

    def look(self) -> float:
        """Look at what is due, a few at a time; return the seconds until something is due again."""
        now, busy = self._now(), set(self._busy())
        with self._lock:
            for name in busy & self._units.keys():
                self._units[name].due = max(self._units[name].due, now + BUSY_AGAIN)
            due = sorted((one.due, name) for name, one in self._units.items() if one.due <= now)[:AT_ONCE]
            chosen = [(name, self._units[name].plan) for _, name in due]
        answers = abreast([partial(self._ask, plan) for _, plan in chosen])
        with self._lock:
            for (name, plan), checks in zip(chosen, answers, strict=True):
                unit = self._units.get(name)
                if unit is not None and unit.plan == plan:  # else sites.yml was changed meanwhile
                    self._keep(name, unit, tuple(checks))
            soonest = min((one.due for one in self._units.values()), default=now + self._timing.readiness)
        self._publish()
        return max(PAUSE, soonest - self._now())

    def report(self) -> Report:
        """Return the newest answers."""
        with self._lock:
            units = [self._units[name] for name in sorted(self._units)]
        seen = [one.seen for one in units]
        known = [time for time in seen if time is not None]
        oldest = min(known) if known and len(known) == len(seen) else None
        return Report(oldest, tuple(check for one in units for check in one.checks))

    def _ask(self, plan: ServerPlan | None) -> list[Check]:
        if plan is None:
            whole = self._plan
            return [*look_around(whole, self._around), *look_at_token(whole, self._around.linode)]
        return [*servers.look(plan, self._world()), *look_at_linode(plan, self._around.linode)]

    def _keep(self, name: str, unit: _Unit, checks: tuple[Check, ...]) -> None:
        before = {(one.check, one.detail) for one in unit.checks if one.ok is False}
        faults = [one for one in checks if one.ok is False]
        for one in faults:
            if (one.check, one.detail) not in before:
                told = fields(check=one.check, server=one.server, detail=one.detail, mend=one.mend)
                log.warning("healing would not work", extra=told)
        unit.checks, unit.seen = checks, self._now()
        wait = self._timing.readiness_again if faults else self._timing.readiness * _share(name)
        unit.due = unit.seen + wait

    def _publish(self) -> None:
        with self._lock:
            units = dict(self._units)
        ready = {
            name: not any(check.ok is False for check in one.checks)
            for name, one in units.items()
            if name != AROUND
        }
        self._metrics.set_servers(ready)
        self._metrics.set_readiness(counted(check for one in units.values() for check in one.checks))


def _share(name: str) -> float:
    """Return 0.9 to 1.1, the same for a name, so that what was looked at together drifts apart."""
    return 0.9 + 0.2 * zlib.crc32(name.encode()) / 2**32
