"""The lab's exporter: fresh probes answered from the true world, each of them in the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from stack.campaign.ledger import Kind
from stack.campaign.world import World

PROBE_SECONDS = (0.005, 0.05)
LAST = "the exporter's schedule"


class Exporter:
    """Answers as the exporter does; `gone`: 503 to everything; `removed`: sites it no longer has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = random.Random(0)
        self._since: dict[str, float] = {}
        self._last: dict[str, str | None] = dict.fromkeys(world.places)
        self.gone = False
        self.slow = 0.0
        self.removed: set[str] = set()
        self.meanwhile: dict[str, tuple[int, Callable[[], None]]] = {}
        """By site: what happens while the n-th fresh probe that fails is under way."""

    def look(self) -> dict[str, str | None]:
        """Probe every site as the schedule does; return the reasons of those that fail, None for the rest."""
        with self._world.lock:
            self._last = {site: self._world.seen(site) for site in self._world.places}
        for site, reason in self._last.items():
            if reason is None:
                self._since.pop(site, None)
            else:
                self._since.setdefault(site, time.time())
        return {site: reason for site, reason in self._last.items() if site not in self.removed}

    def answer(self, _method: str, path: str, query: dict[str, list[str]], _body: bytes) -> tuple[int, Any]:
        """Answer /probe?site=, /api/v1/sites and /api/v1/canaries."""
        if self.slow:
            time.sleep(self.slow)
        if self.gone:
            return 503, {}
        if path == "/api/v1/canaries":
            well = self._world.canaries
            return 200, {"canaries": [{"target": "tcp://198.51.100.1:443", "success": well}]}
        if path == "/api/v1/sites":
            kept = {site: why for site, why in self._last.items() if site not in self.removed}
            return 200, {"sites": [self._state(site, why) for site, why in kept.items()]}
        if path != "/probe":
            return 200, "the lab's exporter\n"
        return self._probe(query.get("site", [""])[0])

    def _probe(self, site: str) -> tuple[int, Any]:
        if site not in self._world.places or site in self.removed:
            return 404, {"error": "unknown site"}
        time.sleep(self._dice.uniform(*PROBE_SECONDS))
        reason = self._world.seen(site)
        self._world.ledger.add(Kind.PROBE, site, passed=reason is None)
        if reason is not None:
            self._let_happen(site)
        return 200, {"site": site, "success": reason is None, "reason": reason, "detail": f"why: {reason}"}

    def _let_happen(self, site: str) -> None:
        number, happens = self.meanwhile.pop(site, (0, None))
        if happens is None:
            return
        if number > 1:
            self.meanwhile[site] = number - 1, happens
        else:
            happens()

    def _state(self, site: str, reason: str | None) -> dict[str, Any]:
        return {
            "site": site,
            "part_of": site,
            "success": reason is None,
            "reason": reason,
            "severity": "critical",
            "failing_since": self._since.get(site, 0),
            "instance": f"http://{site}.example/",
        }
