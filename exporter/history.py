"""The probes made lately with their steps, for `/` and `/logs`; failures outlive successes."""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from exporter.exposition import probe_text
from exporter.module import Module
from exporter.probers import ProbeLog
from exporter.result import Result
from exporter.shown import module_text

DEFAULT_LIMIT = 100
"""Probes that are kept where no `--history.limit` says otherwise."""


class Record(NamedTuple):
    """One probe that was made; its text is written only when somebody asks for it."""

    id: int
    module: str
    """The module's name; empty for a site's own."""
    target: str
    """Without userinfo and query."""
    site: str
    """The site that was probed on its schedule; empty for a probe on demand."""
    result: Result
    log: ProbeLog | None
    options: Module

    def text(self) -> str:
        """Return the steps, the metrics and the module, as `debug=true` shows them."""
        steps = "\n".join(self.log.dated_lines) if self.log else _UNKNOWN_STEPS
        return (
            f"Logs for the probe:\n{steps}\n\n\n\n"
            f"Metrics that would have been returned:\n{probe_text(self.result)}\n\n\n"
            f"Module configuration:\n{module_text(self.options)}"
        )


_UNKNOWN_STEPS = (
    "(The steps of a site's probe are kept while it fails, and this was its first failure; "
    "the next failed probe has them.)"
)


class History:
    """Keeps `limit` probes on demand, `limit` failed ones beyond these, and `limit` failures of sites."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._ids = count()
        self._recent: deque[Record] = deque()
        self._failed: deque[Record] = deque(maxlen=limit)
        self._of_sites: deque[Record] = deque(maxlen=limit)

    def on_demand(self, name: str, module: Module, target: str, result: Result, log: ProbeLog) -> Record:
        """Keep a probe that somebody asked for; `target` is shown as it is."""
        record = Record(next(self._ids), name, target, "", result, log, module)
        self._recent.append(record)
        if len(self._recent) > self._limit:
            oldest = self._recent.popleft()
            if not oldest.result.success:
                self._failed.append(oldest)
        return record

    def failure_of(
        self, site: str, module: Module, target: str, result: Result, log: ProbeLog | None
    ) -> None:
        """Keep a scheduled probe that failed."""
        self._of_sites.append(Record(next(self._ids), "", target, site, result, log, module))

    def newest_first(self) -> list[Record]:
        """Return all that is kept."""
        return sorted(self._kept(), key=lambda record: record.id, reverse=True)

    def record(self, number: int) -> Record | None:
        """Return one probe, None where it is no longer kept."""
        return next((record for record in self._kept() if record.id == number), None)

    def _kept(self) -> Iterator[Record]:
        yield from self._failed
        yield from self._recent
        yield from self._of_sites
