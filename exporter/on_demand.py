"""A request to /probe: what it asks for, whether it may, and how long it may take.

RefusalError        the request cannot be served; `status` is the HTTP status to say so
"""

import logging
import math
from collections.abc import Mapping

from core.logs import fields
from exporter.exposition import probe_text
from exporter.history import Record
from exporter.module import Module
from exporter.modules import named
from exporter.probers import ProbeLog
from exporter.result import Result
from exporter.service import Exporter
from exporter.target import instance
from exporter.watched import WatchedSite

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
DEFAULT_TIMEOUT = 120.0
"""Seconds, where neither Prometheus nor the module says any."""
DEFAULT_MODULE = "http_2xx"

LONGEST_TARGET = 500
"""Characters of a target that the page shows."""

_log = logging.getLogger("exporter.probe_log")

_NOT_LISTED = (
    "this target is neither a site nor a canary of the configuration: list it there, "
    "or allow it with the key probe_targets"
)


class RefusalError(Exception):
    """The request cannot be served; `status` is the HTTP status to say so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProbeRequest:
    """One request to /probe."""

    def __init__(
        self,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        timeout_offset: float,
        log_level: int | None = None,
    ) -> None:
        """Read a request; the steps of its probe are logged too where `log_level` says how loudly."""
        self._query = query
        self._log_level = log_level
        self._headers = headers
        self._offset = timeout_offset

    async def probe_site(self, exporter: Exporter) -> tuple[WatchedSite, Result]:
        """Probe the site that is asked for. Raises RefusalError."""
        if "target" in self._query:
            raise RefusalError(400, "give site or target, not both")
        name = self._query["site"]
        state = exporter.states.get(name)
        if state is None:
            raise RefusalError(404, f"no site is named {name!r}")
        given = TIMEOUT_HEADER in self._headers
        return state.site, await exporter.probe_site(state.site, self._most() if given else None)

    async def probe_target(self, exporter: Exporter) -> str:
        """Probe the target that is asked for and return the exposition. Raises RefusalError."""
        target = self._query.get("target", "")
        if not target:
            raise RefusalError(400, "Target parameter is missing")
        name = self._query.get("module") or DEFAULT_MODULE
        module = self._module(exporter, name)
        allowed = exporter.configuration.allowed
        if allowed is not None and not allowed.allows(target, module.prober):
            raise RefusalError(403, _NOT_LISTED)
        hostname = self._query.get("hostname") or None
        self._refuse_conflict(module, hostname)
        seconds, log = self._timeout(module), ProbeLog()
        log.add("Beginning probe", probe=module.prober, timeout_seconds=seconds)
        barred = allowed.barred(target, module.prober) if allowed is not None else None
        result = await exporter.probe_target(target, module, seconds, hostname, log, barred)
        _add_outcome(log, result)
        shown = instance(target)[:LONGEST_TARGET]
        record = exporter.history.on_demand(name, module, shown, result, log)
        if self._log_level is not None:
            _tell(self._log_level, record)
        return record.text() if self._query.get("debug") == "true" else probe_text(result)

    def _module(self, exporter: Exporter, name: str) -> Module:
        try:
            module = named(exporter.configuration.modules, name)
        except ValueError as error:
            exporter.health.unknown_modules.inc()
            raise RefusalError(400, str(error)) from error
        complaint = exporter.complaint(module)
        if complaint is not None:
            raise RefusalError(400, f"module {name!r} cannot be used: {complaint[0]}: {complaint[1]}")
        return module

    def _refuse_conflict(self, module: Module, hostname: str | None) -> None:
        headers: Mapping[str, str] = getattr(module.options, "headers", {}) if module.prober == "http" else {}
        for name, value in headers.items():
            if hostname and name.lower() == "host" and value != hostname:
                raise RefusalError(
                    400, "the hostname parameter and the module's Host header differ: keep one"
                )

    def _timeout(self, module: Module) -> float:
        """Return the seconds a probe may take, as blackbox_exporter reckons them."""
        most = self._most()
        return module.timeout if module.timeout and module.timeout < most else most

    def _most(self) -> float:
        given = self._headers.get(TIMEOUT_HEADER)
        try:
            seconds = float(given) if given else DEFAULT_TIMEOUT
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds) or seconds < 0:
            raise RefusalError(400, f"{TIMEOUT_HEADER} must be a number of seconds")
        seconds = seconds or DEFAULT_TIMEOUT
        return seconds - self._offset if seconds > self._offset else seconds


def _add_outcome(log: ProbeLog, result: Result) -> None:
    if result.reason is None:
        log.add("Probe succeeded", duration_seconds=result.duration)
    else:
        log.add("Probe failed", reason=result.reason, detail=result.detail, duration_seconds=result.duration)


def _tell(level: int, record: Record) -> None:
    """Write a probe's steps to the exporter's own log."""
    if record.log is None or not _log.isEnabledFor(level):
        return
    for line in record.log.lines:
        _log.log(level, "probe", extra=fields(module=record.module, target=record.target, step=line))
