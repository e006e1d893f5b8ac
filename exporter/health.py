"""What the exporter says of itself, through prometheus_client, in a registry of its own."""

import platform
import sys
import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from core import VERSION
from exporter.lateness import Lateness
from exporter.state import Moment

# The _created series that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_BUILD = {
    "branch": "",
    "goarch": _MACHINES.get(platform.machine(), platform.machine()),
    "goos": sys.platform,
    "goversion": "",
    "revision": "",
    "version": VERSION,
}
"""The labels that blackbox_exporter's dashboards know."""


class Health:
    """The exporter's own metrics; one per exporter, so that two in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.lateness = Lateness()
        self.registry.register(self.lateness)
        self._count_probes()
        self._count_heartbeats()
        self._show_configuration()
        self._show_builds()

    def _count_probes(self) -> None:
        self.skipped = self._counter(
            "sitemedic_exporter_probes_skipped",
            "Scheduled probes left out: the one before still ran, or the machine stood still.",
        )
        self.broken = self._counter(
            "sitemedic_exporter_probe_errors", "Probes that ended in a fault of the exporter itself."
        )
        self.in_flight = self._gauge("sitemedic_exporter_probes_in_flight", "Scheduled probes that run now.")
        self.sites = self._gauge("sitemedic_exporter_sites", "Sites being watched.")
        self.results_errors = self._counter(
            "sitemedic_exporter_results_file_errors", "Failed attempts to write the results file."
        )
        self.results_dropped = self._counter(
            "sitemedic_exporter_results_file_dropped_lines",
            "Results that never reached the results file.",
        )
        self.unknown_modules = self._counter(
            "blackbox_module_unknown", "Count of unknown modules requested by probes"
        )
        self.confirming = Counter(
            "sitemedic_exporter_confirming_probes",
            "Probes that confirm a failure: made, or left out because too many sites failed at once.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("made", "left_out"):
            self.confirming.labels(outcome)

    def _count_heartbeats(self) -> None:
        self.heartbeat_calls = Counter(
            "sitemedic_exporter_heartbeat_calls",
            "Calls of jobs: taken, by an unknown token, or too many at once.",
            ["answer"],
            registry=self.registry,
        )
        for answer in ("taken", "unknown", "too_many"):
            self.heartbeat_calls.labels(answer)
        self.heartbeat_file_errors = self._counter(
            "sitemedic_exporter_heartbeat_file_errors",
            "Failed attempts to read or write what is known of heartbeats.",
        )

    def _show_configuration(self) -> None:
        self._reload_successful = self._gauge(
            "sitemedic_config_last_reload_successful",
            "Whether the last reading of the configuration succeeded.",
        )
        self._reloaded: Moment | None = None
        self._reload_time = self._gauge(
            "sitemedic_config_last_reload_success_timestamp_seconds",
            "When the configuration was last read with success.",
        )
        self._their_successful = self._gauge(
            "blackbox_exporter_config_last_reload_successful",
            "Blackbox exporter config loaded successfully.",
        )
        self._their_time = self._gauge(
            "blackbox_exporter_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
        )
        self._web_config = self._gauge(
            "sitemedic_web_config_last_reload_successful",
            "Whether the last reading of --web.config.file succeeded; 1 without one.",
        )

    def _show_builds(self) -> None:
        build = Gauge(
            "sitemedic_build_info", "1 with the version that runs.", ["version"], registry=self.registry
        )
        build.labels(VERSION).set(1)
        theirs = Gauge(
            "blackbox_exporter_build_info",
            "1 with the version of Sitemedic that serves in blackbox_exporter's place; not built with Go.",
            list(_BUILD),
            registry=self.registry,
        )
        theirs.labels(*_BUILD.values()).set(1)

    def reloaded(self, *, successful: bool) -> None:
        """Note how the last reading of the configuration went."""
        for gauge in (self._reload_successful, self._their_successful):
            gauge.set(successful)
        if successful:
            self._reloaded = Moment(time.time(), time.monotonic())
            self._tell_reload(self._reloaded)

    def correct(self, wall_now: float, now: float) -> None:
        """Tell the time of the last reload as the wall clock does, which somebody has set."""
        if self._reloaded is not None:
            self._tell_reload(self._reloaded.corrected(wall_now, now))

    def _tell_reload(self, moment: Moment) -> None:
        self._reload_time.set(moment.wall)
        self._their_time.set(moment.wall)

    def web_config_read(self, *, successful: bool) -> None:
        """Note how the last reading of the web configuration went."""
        self._web_config.set(successful)

    def text(self) -> bytes:
        """Return the exposition of these metrics."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)
