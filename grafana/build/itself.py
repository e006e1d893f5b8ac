"""The dashboard "Sitemedic: itself": its four services, and whether its alerts reach anybody."""

from grafana.build import limits
from grafana.build.board import ITSELF, Board
from grafana.build.looks import BAD, FIRING, GOOD, YES_OR_NO, steps
from grafana.build.panels import About, Panel, Series, lines, number
from grafana.build.tables import Column, Label, rows

EXPORTER, REMEDIATOR = 'job="sitemedic-exporter"', 'job="sitemedic-remediator"'
PROMETHEUS, ALERTMANAGER = 'job="prometheus"', 'job="alertmanager"'
OURS = 'job=~"sitemedic-exporter|sitemedic-remediator|prometheus|alertmanager"'


def board() -> Board:
    """Return the dashboard."""
    return Board(
        uid=ITSELF,
        title="Sitemedic: itself",
        description="Exporter, Prometheus, Alertmanager, remediator: do they work, and do alerts arrive?",
        first_glance=[*_now(), *_exporter(), *_delivery()],
        rows=[
            ("Exporter and remediator", _work()),
            ("Prometheus", _prometheus()),
            ("What it costs", _cost()),
        ],
    )


def _now() -> list[Panel]:
    jobs = {
        "Exporter": (EXPORTER, "While it is not reached, the sites' states are not known."),
        "Prometheus": (PROMETHEUS, "It reads itself."),
        "Alertmanager": (ALERTMANAGER, "While it is not reached, nobody is mailed and nothing is healed."),
        "Remediator": (REMEDIATOR, "While it is not reached, nothing is healed."),
    }
    return [
        *(
            number(
                About(title, f"Whether Prometheus reaches it. {otherwise}", "short", 3, 4),
                Series(f"min(up{{{job}}}) or vector(0)"),
                steps(BAD, (1, GOOD)),
                mappings=YES_OR_NO,
            )
            for title, (job, otherwise) in jobs.items()
        ),
        *_altogether(),
    ]


def _altogether() -> list[Panel]:
    return [
        number(
            About(
                "Watchdog", "The alert that always fires. If not, alerting itself has died.", "short", 3, 4
            ),
            Series('max(ALERTS{alertname="Watchdog", alertstate="firing"}) or vector(0)'),
            steps(BAD, (1, GOOD)),
            mappings=YES_OR_NO,
        ),
        number(
            About(
                "Configuration read",
                "Whether all four took their configuration at the last reading. If not, the old one holds.",
                "short",
                3,
                4,
            ),
            Series(
                "min(sitemedic_config_last_reload_successful "
                "or sitemedic_remediator_config_last_reload_successful "
                "or prometheus_config_last_reload_successful or alertmanager_config_last_reload_successful)"
            ),
            steps(BAD, (1, GOOD)),
            mappings=YES_OR_NO,
        ),
        number(
            About("Sites watched", "Sites that the exporter probes.", "short", 3, 4),
            Series("sum(sitemedic_exporter_sites)"),
        ),
        number(
            About("Remediator's last round", "How long ago it last looked at its incidents.", "s", 3, 4),
            Series("max(time() - sitemedic_reconcile_last_run_timestamp_seconds)"),
            steps(GOOD, (limits.reconcile_seconds(), BAD)),
        ),
    ]


def _exporter() -> list[Panel]:
    return [
        lines(
            About(
                "Probes per second", "Probes made, all sites together, and those that failed.", "cps", 8, 8
            ),
            [
                Series("sum(rate(sitemedic_probes_total[$__rate_interval]))", "probes"),
                Series("sum(rate(sitemedic_probe_failures_total[$__rate_interval]))", "failed"),
            ],
        ),
        _lateness(),
        lines(
            About(
                "Probes in flight, skipped and broken",
                "Running now; left out since the one before still ran; ended by a fault of our own.",
                "short",
                8,
                8,
            ),
            [
                Series("sum(sitemedic_exporter_probes_in_flight)", "in flight"),
                Series("sum(rate(sitemedic_exporter_probes_skipped_total[$__rate_interval]))", "skipped/s"),
                Series("sum(rate(sitemedic_exporter_probe_errors_total[$__rate_interval]))", "broken/s"),
            ],
        ),
    ]


def _lateness() -> Panel:
    late = "sum by (le) (rate(sitemedic_exporter_probe_lateness_seconds_bucket[$__rate_interval]))"
    percentiles = [
        Series(f"histogram_quantile({share}, {late})", f"{100 * share:.0f}th percentile")
        for share in (0.5, 0.99)
    ]
    return lines(
        About(
            "Probes' lateness",
            "How long after its due time a probe begins. The dashed line is ExporterProbesLate's.",
            "s",
            8,
            8,
        ),
        [*percentiles, Series(f"vector({limits.lateness_seconds():g})", "limit")],
        limit="/^limit$/",
    )


def _alerts() -> Panel:
    firing = 'alertstate="firing", alertname!="Watchdog", site=""'
    return rows(
        About("Sitemedic's own alerts", "What fires now and is not about one site.", "none", 8, 9),
        [
            Label("alertname", "Alert"),
            Label("severity", "Severity"),
            Column("Now", f"max by (alertname, severity) (ALERTS{{{firing}}})", mappings=FIRING),
        ],
    )


def _delivery() -> list[Panel]:
    sent = "sum by (integration) (rate(alertmanager_notifications_total[$__rate_interval]))"
    failed = "sum by (integration) (rate(alertmanager_notifications_failed_total[$__rate_interval]))"
    to_alertmanager = "sum(rate(prometheus_notifications_{}_total[$__rate_interval]))".format
    return [
        _alerts(),
        lines(
            About(
                "Alertmanager's notifications",
                "Per second, by integration, with those that failed.",
                "cps",
                8,
                9,
            ),
            [
                Series(f"{sent} > 0", "{{integration}}"),
                Series(f"{failed} > 0", "{{integration}} failed"),
            ],
        ),
        lines(
            About(
                "Alerts from Prometheus",
                "Handed to Alertmanager per second, dropped, and failed.",
                "cps",
                8,
                9,
            ),
            [
                Series(to_alertmanager("sent"), "sent"),
                Series(to_alertmanager("dropped"), "dropped"),
                Series(to_alertmanager("errors"), "failed"),
            ],
        ),
    ]


def _work() -> list[Panel]:
    webhooks = "sum by (outcome) (rate(sitemedic_notifications_total[$__rate_interval]))"
    problems = "sum by (problem) (increase(sitemedic_remediator_problems_total[$__rate_interval]))"
    stored = "sum by (le) (rate(sitemedic_notification_seconds_bucket[$__rate_interval]))"
    dropped = "sum(increase(sitemedic_exporter_results_file_dropped_lines_total[$__rate_interval]))"
    return [
        lines(
            About("Webhooks", "Notifications that Alertmanager posted, by what became of them.", "cps", 6, 8),
            [Series(webhooks, "{{outcome}}")],
        ),
        lines(
            About("Time to store a webhook", "99th percentile, the answer included.", "s", 6, 8),
            [Series(f"histogram_quantile(0.99, {stored})", "99th percentile")],
        ),
        lines(
            About("Remediator's problems", "By where, per interval shown.", "short", 6, 8),
            [Series(problems, "{{problem}}")],
        ),
        lines(
            About(
                "Results file",
                "Results that never reached it, per interval shown (docs/results.md).",
                "short",
                6,
                8,
            ),
            [Series(dropped, "dropped")],
        ),
    ]


def _prometheus() -> list[Panel]:
    group = 'label_replace({}, "group", "$1", "rule_group", ".*;(.*)")'.format
    took = "prometheus_rule_group_last_duration_seconds"
    missed = "sum(increase(prometheus_rule_group_iterations_missed_total[$__rate_interval]))"
    broken = "sum(increase(prometheus_rule_evaluation_failures_total[$__rate_interval]))"
    return [
        lines(
            About("Rule evaluation", "How long a group's last evaluation took.", "s", 6, 8),
            [Series(f"max by (group) ({group(took)})", "{{group}}")],
        ),
        lines(
            About(
                "Rules missed and failed",
                "Evaluations left out or broken, per interval shown.",
                "short",
                6,
                8,
            ),
            [Series(missed, "missed"), Series(broken, "failed")],
        ),
        lines(
            About("Samples", "Written per second.", "cps", 6, 8),
            [Series("sum(rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))", "samples")],
        ),
        lines(
            About("Scrapes", "How long reading each service took.", "s", 6, 8),
            [Series(f"max by (job) (scrape_duration_seconds{{{OURS}}})", "{{job}}")],
        ),
    ]


def _cost() -> list[Panel]:
    return [
        lines(
            About("CPU", "Cores used, by service.", "short", 12, 8),
            [
                Series(
                    f"sum by (job) (rate(process_cpu_seconds_total{{{OURS}}}[$__rate_interval]))", "{{job}}"
                )
            ],
        ),
        lines(
            About("Memory", "Resident, by service.", "bytes", 12, 8),
            [Series(f"sum by (job) (process_resident_memory_bytes{{{OURS}}})", "{{job}}")],
        ),
    ]
