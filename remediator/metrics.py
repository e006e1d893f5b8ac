"""The remediator's own metrics, in their own registry; every known label value is there from the start."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from remediator.incident import CLOSED, FINISHED, Decision, Outcome, Reason, State, Verb

SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
NOTIFICATION_OUTCOMES = ("stored", "unauthorized", "invalid", "not_stored")
PROBLEMS = ("exporter", "alertmanager", "store", "lease_lost", "job", "truncated", "unknown_site", "reload")


class Metrics:
    """What Prometheus is told."""

    def __init__(self, actions: Mapping[str, object]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.incidents = Gauge(
            "sitemedic_incidents_open", "Open incidents by state.", ["state"], registry=registry
        )
        self.ended = Counter(
            "sitemedic_incidents_total", "Incidents that ended, by outcome.", ["outcome"], registry=registry
        )
        self.opened = Counter("sitemedic_incidents_opened_total", "Incidents opened.", registry=registry)
        self.attempts = Counter(
            "sitemedic_attempts_total", "Attempts that ended.", ["action", "outcome"], registry=registry
        )
        self.decisions = Counter(
            "sitemedic_decisions_total",
            "Decisions that were news, by what and why.",
            ["decision", "reason"],
            registry=registry,
        )
        self.notifications = Counter(
            "sitemedic_notifications_total", "Webhook requests by outcome.", ["outcome"], registry=registry
        )
        self.problems = Counter(
            "sitemedic_remediator_problems_total",
            "What went wrong around the remediator, by where.",
            ["problem"],
            registry=registry,
        )
        self.detect = Histogram(
            "sitemedic_incident_detect_seconds",
            "From the first failed probe to the incident.",
            buckets=SECONDS,
            registry=registry,
        )
        self.recover = Histogram(
            "sitemedic_incident_recover_seconds",
            "From the incident to its proved end.",
            buckets=SECONDS,
            registry=registry,
        )
        self.ingest = Histogram(
            "sitemedic_notification_seconds",
            "Time to store and answer a notification.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=registry,
        )
        self.last_reconcile = Gauge(
            "sitemedic_reconcile_last_run_timestamp_seconds",
            "When the reconciler last finished a round.",
            registry=registry,
        )
        self.paused = Gauge("sitemedic_pauses", "Pauses in force.", registry=registry)
        self.reload_ok = Gauge(
            "sitemedic_remediator_config_last_reload_successful",
            "Whether the last reload of sites.yml was taken.",
            registry=registry,
        )
        self.console = Gauge(
            "sitemedic_console_info", "1 with the console's address.", ["url"], registry=registry
        )
        self._initialise(actions)

    def decided(self, decision: Decision) -> None:
        """Count a decision that was news."""
        self.decisions.labels(decision.verb, decision.reason).inc()

    def problem(self, name: str) -> None:
        """Count something that went wrong."""
        self.problems.labels(name).inc()

    def set_open(self, counts: Mapping[State, int]) -> None:
        """Publish how many incidents are open."""
        for state in State:
            if state not in CLOSED:
                self.incidents.labels(state).set(counts.get(state, 0))

    def _initialise(self, actions: Mapping[str, object]) -> None:
        self.set_open({})
        for outcome in Outcome:
            self.ended.labels(outcome)
        for action in actions:
            for stage in sorted(FINISHED):
                self.attempts.labels(action, stage)
        for name in NOTIFICATION_OUTCOMES:
            self.notifications.labels(name)
        for name in PROBLEMS:
            self.problems.labels(name)
        for verb, reasons in KNOWN_DECISIONS.items():
            for reason in reasons:
                self.decisions.labels(verb, reason)


KNOWN_DECISIONS: Mapping[Verb, tuple[Reason, ...]] = {
    Verb.ACT: (Reason.ANSWERS_WRONGLY, Reason.DOES_NOT_ANSWER, Reason.SERVER_UNREACHABLE),
    Verb.LOOK: (Reason.LOOK_FIRST,),
    Verb.CLOSE: (Reason.PROVED, Reason.SITE_REMOVED),
    Verb.WAIT: (
        Reason.PASSING,
        Reason.NO_FRESH_PROBE,
        Reason.NO_SITES,
        Reason.CANARIES_FAIL,
        Reason.TOO_MANY_UNHEALTHY,
        Reason.ONE_AT_A_TIME,
        Reason.SERVER_BUSY,
        Reason.COOLDOWN,
        Reason.NEED_UNHEALTHY,
        Reason.OWN_SERVER,
    ),
    Verb.REFUSE: (Reason.PAUSED, Reason.GUARD_ERROR, Reason.TOO_MANY_UNHEALTHY),
    Verb.OBSERVE: (Reason.OBSERVE_MODE, Reason.NO_RECOVER),
    Verb.ESCALATE: (
        Reason.FOR_A_HUMAN,
        Reason.NO_TARGET,
        Reason.OWN_SERVER,
        Reason.OWN_CONTAINER,
        Reason.NO_CANARIES,
        Reason.ATTEMPT_BUDGET,
        Reason.REBOOT_NOT_ALLOWED,
        Reason.HEALTHY_NEIGHBOUR,
        Reason.NOTHING_LEFT,
        Reason.CANNOT_ENTER,
        Reason.CANNOT_TELL,
        Reason.ACTION_IMPOSSIBLE,
    ),
}
