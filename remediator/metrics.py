"""The remediator's own metrics, in their own registry; every known label value is there from the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from remediator.guards import GUARDS
from remediator.model.incident import CLOSED, FINISHED, Decision, Outcome, Reason, State, Verb
from remediator.model.news import Telling

SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
QUICK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
NOTIFICATION_OUTCOMES = ("stored", "unauthorized", "invalid", "not_stored")
SIGN_INS = ("let_in", "wrong", "too_many")
PROBLEMS = ("exporter", "alertmanager", "store", "lease_lost", "job", "truncated", "unknown_site", "reload")


class IncidentInfo(Collector):
    """`sitemedic_incident_info`: the rows that it was last given."""

    def __init__(self) -> None:
        self.rows: Sequence[tuple[str, ...]] = ()

    def collect(self) -> Iterator[Metric]:
        """Yield one series for each row."""
        text = "The newest incident of a site, while it lasts and for 15 minutes."
        family = GaugeMetricFamily(
            "sitemedic_incident_info", text, labels=["site", "incident", "state", "action", "outcome"]
        )
        for row in self.rows:
            family.add_metric(row, 1.0)
        yield family


class Metrics:
    """What Prometheus is told."""

    def __init__(self, actions: Mapping[str, object]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.info = IncidentInfo()
        self.registry.register(self.info)
        self._servers: frozenset[str] = frozenset()
        self._tell_of_healing()
        self._tell_of_notifications()
        self._tell_of_itself()
        self._initialise(actions)

    def _tell_of_healing(self) -> None:
        count, show, time = self._counter, self._gauge, self._histogram
        self.incidents = show("incidents_open", "Open incidents by state.", "state")
        self.ended = count("incidents", "Incidents that ended, by outcome.", "outcome")
        self.opened = count("incidents_opened", "Incidents opened.")
        self.attempts = count("attempts", "Attempts that ended.", "action", "outcome")
        self.decisions = count(
            "decisions", "Decisions that were news, by what and why.", "decision", "reason"
        )
        self.held = count("guard_holds", "Decisions that were news and that a guard held back.", "guard")
        self.detect = time("incident_detect", "From the first failed probe to the incident.")
        self.recover = time("incident_recover", "From the incident to its proved end.")
        self.paused = show("pauses", "Pauses in force.")
        self.servers = show("server_ready", "Whether a site on a server could be healed now.", "server")
        self.readiness = show("readiness_failures", "What healing needs and would not work now.", "check")

    def _tell_of_notifications(self) -> None:
        """Those that come from Alertmanager, and those that people get."""
        count, show, time = self._counter, self._gauge, self._histogram
        self.notifications = count("notifications", "Webhook requests by outcome.", "outcome")
        self.ingest = time("notification", "Time to store and answer a notification.", QUICK_SECONDS)
        self.told = count("news", "What people were told of healing, by what it was.", "stage")
        self.untold = show("outages_untold", "Ended incidents that nobody could be mailed about yet.")

    def _tell_of_itself(self) -> None:
        count, show = self._counter, self._gauge
        self.sign_ins = count("sign_ins", "Who wanted to sign in to the console, by outcome.", "outcome")
        self.problems = count(
            "remediator_problems", "What went wrong around the remediator, by where.", "problem"
        )
        self.last_reconcile = show(
            "reconcile_last_run_timestamp_seconds", "When the reconciler last finished a round."
        )
        self.leads = show("remediator_leads", "Whether it works: of several on one database, one does.")
        self.ready = show("remediator_ready", "Whether it can take notifications and comes round.")
        self.console = show("console_info", "1, with the console's address.", "url")
        self.reload_ok = show(
            "remediator_config_last_reload_successful", "Whether the last reload of sites.yml was taken."
        )
        self.web_ok = show(
            "web_config_last_reload_successful",
            "Whether the last reading of --web.config.file succeeded; 1 without one.",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sitemedic_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"sitemedic_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        return Histogram(f"sitemedic_{name}_seconds", text, buckets=buckets, registry=self.registry)

    def decided(self, decision: Decision) -> None:
        """Count a decision that was news."""
        self.decisions.labels(decision.verb, decision.reason).inc()
        held_by = decision.numbers.get("held_by")
        for guard in held_by if isinstance(held_by, list) else ():
            self.held.labels(guard).inc()

    def problem(self, name: str) -> None:
        """Count something that went wrong."""
        self.problems.labels(name).inc()

    def set_open(self, counts: Mapping[State, int]) -> None:
        """Publish how many incidents are open."""
        for state in State:
            if state not in CLOSED:
                self.incidents.labels(state).set(counts.get(state, 0))

    def set_servers(self, ready: Mapping[str, bool]) -> None:
        """Publish on which servers a site could be healed now."""
        for server in self._servers - ready.keys():
            self.servers.remove(server)
        for server, fine in ready.items():
            self.servers.labels(server).set(fine)
        self._servers = frozenset(ready)

    def set_readiness(self, failures: Mapping[str, int]) -> None:
        """Publish how many checks of each name have failed."""
        for check, number in failures.items():
            self.readiness.labels(check).set(number)

    def _initialise(self, actions: Mapping[str, object]) -> None:
        self.set_open({})
        for outcome in Outcome:
            self.ended.labels(outcome)
        for action in actions:
            for stage in sorted(FINISHED):
                self.attempts.labels(action, stage)
        for telling in Telling:
            self.told.labels(telling)
        for counter, names in (
            (self.notifications, NOTIFICATION_OUTCOMES),
            (self.sign_ins, SIGN_INS),
            (self.held, GUARDS),
            (self.problems, PROBLEMS),
        ):
            for name in names:
                counter.labels(name)
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
        Reason.START_UP,
        Reason.STORM_COOLDOWN,
        Reason.MAINTENANCE,
        Reason.SILENCED,
        Reason.SILENCES_UNKNOWN,
        Reason.LINODE_BUSY,
        Reason.FOREIGN_EVENT,
    ),
    Verb.ASK: (Reason.APPROVAL_NEEDED,),
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
        Reason.APPROVAL_DENIED,
        Reason.SERVER_OFF,
        Reason.CRASH_LOOP,
    ),
}
