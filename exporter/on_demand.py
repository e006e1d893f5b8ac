"""A request to /probe: what it asks for, whether it may, and how long it may take.

RefusalError        the request cannot be served; `status` is the HTTP status to say so
"""

import math
from collections.abc import Mapping

from exporter.exposition import probe_text
from exporter.module import Module
from exporter.modules import named
from exporter.probers import ProbeLog
from exporter.result import Result
from exporter.service import Exporter
from exporter.watched import WatchedSite

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
DEFAULT_TIMEOUT = 120.0
"""Seconds, where neither Prometheus nor the module says any."""
DEFAULT_MODULE = "http_2xx"

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

    def __init__(self, query: Mapping[str, str], headers: Mapping[str, str], timeout_offset: float) -> None:
        self._query = query
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
        module = self._module(exporter)
        allowed = exporter.configuration.allowed
        if allowed is not None and not allowed.allows(target, module.prober):
            raise RefusalError(403, _NOT_LISTED)
        hostname = self._query.get("hostname") or None
        self._refuse_conflict(module, hostname)
        log = ProbeLog() if self._query.get("debug") == "true" else None
        result = await exporter.probe_target(target, module, self._timeout(module), hostname, log)
        text = probe_text(result)
        if log is None:
            return text
        if result.reason is not None:
            log.add("Probe failed", reason=result.reason, detail=result.detail)
        steps = "\n".join(log.lines)
        return f"Logs for the probe:\n{steps}\n\n\n\nMetrics that would have been returned:\n{text}"

    def _module(self, exporter: Exporter) -> Module:
        name = self._query.get("module") or DEFAULT_MODULE
        try:
            module = named(exporter.configuration.modules, name)
        except ValueError as error:
            raise RefusalError(400, str(error)) from error
        for key, message in module.complaints():
            raise RefusalError(400, f"module {name!r} cannot be used: {key}: {message}")
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
