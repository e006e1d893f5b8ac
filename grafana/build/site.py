"""The dashboard "Sitemedic: site": one site over time, and what was done about it."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from grafana.build import container_questions, limits, questions
from grafana.build.board import SITE, Board, asked, marked, to_container, to_incident
from grafana.build.looks import BAD, CERTIFICATE, CONTAINER, FIRING, GOOD, STATES, WARNING, steps
from grafana.build.panels import About, Panel, Series, lines, number, states
from grafana.build.tables import Column, Label, rows

THIS = 'site="$site"'


def board() -> Board:
    """Return the dashboard."""
    return Board(
        uid=SITE,
        title="Sitemedic: site",
        description="One site: its state, uptime and speed, why it failed, and what was done.",
        variables=[asked("site", "Site", "A site by name.", "label_values(sitemedic_site_info, site)")],
        annotations=_annotations(),
        first_glance=[*_now(), _timeline(), *_speed(), *_answers()],
        rows=[("Alerts and incidents", _tables()), ("Its container", _container())],
    )


def _annotations() -> list[AnnotationQuery]:
    info = "sitemedic_incident_info"
    return [
        marked(
            "Healing",
            f'max by (incident, action, outcome) ({info}{{{THIS}, action!=""}})',
            "{{action}} {{outcome}}",
            "The last attempt of incident {{incident}}.",
            "blue",
        ),
        marked(
            "Incidents",
            f"max by (incident) ({info}{{{THIS}, {questions.OPEN}}})",
            "Incident {{incident}}",
            "From its first alert until fresh probes proved it over.",
            BAD,
        ),
        marked(
            "Alerts",
            f'max by (alertname) (ALERTS{{{THIS}, alertstate="firing"}})',
            "{{alertname}}",
            "An alert of this site fired.",
            WARNING,
        ),
    ]


def _uptime(title: str, window: str) -> Panel:
    about = About(
        f"Uptime, {title}", f"Share of the probes of the last {title} that succeeded.", "percentunit", 3, 4
    )
    colours = steps(BAD, (limits.default_objective(), GOOD))
    return number(about, Series(questions.uptime(THIS, window)), colours, decimals=3)


def _now() -> list[Panel]:
    left = "What is left of the failures that `alert.objective` allows within 30 days; below 0: overspent."
    return [
        number(
            About(
                "State",
                "Down: SiteDown fires; failing: not yet. Slow, flapping: their alerts fire.",
                "short",
                3,
                4,
            ),
            Series(questions.state(THIS)),
            mappings=STATES,
        ),
        _uptime("24 h", "24h"),
        _uptime("7 d", "7d"),
        _uptime("30 d", "30d"),
        number(
            About("Error budget left", left, "percentunit", 3, 4),
            Series(questions.budget_left(THIS)),
            steps(BAD, (0, GOOD)),
            decimals=0,
        ),
        *_last_seen(),
        _incident(),
    ]


def _last_seen() -> list[Panel]:
    return [
        number(
            About("Last probe", "How long it took.", "s", 2, 4),
            Series(questions.by_site("probe_duration_seconds", THIS)),
        ),
        number(
            About("Certificate", "How far SiteCertificateExpiring has come.", "short", 2, 4),
            Series(questions.certificate_stage(THIS)),
            mappings=CERTIFICATE,
            nothing="none",
        ),
        number(
            About("Its days", "Days until the first of the certificates sent ends.", "none", 2, 4),
            Series(questions.certificate_days(THIS)),
            decimals=0,
        ),
    ]


def _incident() -> Panel:
    incident = f"max by (incident, state) (sitemedic_incident_info{{{THIS}, {questions.OPEN}}})"
    return number(
        About(
            "Open incident", "Its number and what is being done; a click opens the console.", "short", 3, 4
        ),
        Series(incident, "{{incident}}: {{state}}"),
        steps(WARNING),
        nothing="none",
        named=True,
        link=to_incident("__field.labels.incident"),
    )


def _timeline() -> Panel:
    about = About(
        "State over time",
        "Up, slow, flapping, failing (not yet alerted), down; a gap is no data.",
        "short",
        24,
        4,
    )
    return states(about, Series(questions.state(THIS), "{{site}}"))


def _speed() -> list[Panel]:
    phases = f"avg by (phase) (probe_http_duration_seconds{{{THIS}}})"
    limit = Series(questions.by_site("sitemedic_site_within_seconds", THIS), "limit")
    beside = "The dashed line is the site's `expect.within`: SiteSlow fires above it."
    return [
        lines(
            About(
                "Where the time goes",
                f"The last HTTP probe by phase, redirects summed up. {beside}",
                "s",
                width=12,
                height=7,
            ),
            [Series(phases, "{{phase}}"), limit],
            stacked=True,
            limit="/^limit$/",
        ),
        lines(
            About("Latency", f"Every probe counted, not only the last before a scrape. {beside}", "s", 12, 7),
            [
                *(
                    Series(questions.percentile(share, THIS), f"{100 * share:.0f}th percentile")
                    for share in (0.5, 0.9, 0.99)
                ),
                limit,
            ],
            limit="/^limit$/",
        ),
    ]


def _answers() -> list[Panel]:
    objective = f"1 - {questions.by_site('sitemedic_site_objective_ratio', THIS)}"
    failed = f"1 - {questions.by_site('site:sitemedic_probes:success_ratio_rate5m', THIS)}"
    reasons = f"sum by (reason) (rate(sitemedic_probe_failures_total{{{THIS}}}[$__rate_interval]))"
    return [
        lines(
            About("Status code", "Of the last probe; 0: no answer.", "none", 8, 6),
            [Series(questions.by_site("probe_http_status_code", THIS), "status")],
        ),
        lines(
            About(
                "Failed probes by reason", "Per second. The reasons stand in docs/metrics.md.", "cps", 8, 6
            ),
            [Series(reasons, "{{reason}}")],
            stacked=True,
        ),
        lines(
            About(
                "Failed probes, share",
                "Of the probes of 5 minutes. The dashed line is what `alert.objective` allows in the end.",
                "percentunit",
                8,
                6,
            ),
            [Series(failed, "failed"), Series(objective, "allowed")],
            limit="/^allowed$/",
        ),
    ]


def _tables() -> list[Panel]:
    fired = f'{THIS}, alertstate="firing"'
    by = "alertname, severity"
    began = (
        f"max by ({by}) (max_over_time(ALERTS_FOR_STATE{{{THIS}}}[$__range])) and on ({by}) "
        f"max_over_time(ALERTS{{{fired}}}[$__range])"
    )
    tried = (
        "max by (incident, action, outcome) (last_over_time(sitemedic_incident_info{{{}}}[$__range]))".format
    )
    incidents = " or on (incident) ".join(
        tried(f"{THIS}{more}") for more in (', outcome!=""', ', action!=""', "")
    )
    return [
        rows(
            About("Alerts", "The alerts of this site that fired within the time shown.", "none", 12, 7),
            [
                Label("alertname", "Alert"),
                Label("severity", "Severity"),
                Column("Began", f"1000 * ({began})", "dateTimeFromNow"),
                Column("Now", f"max by ({by}) (ALERTS{{{fired}}})", mappings=FIRING),
            ],
            worst_first="Began",
        ),
        rows(
            About(
                "Incidents",
                "The incidents of this site within the time shown, and what became of the attempts.",
                "none",
                12,
                7,
            ),
            [
                Label("incident", "Incident", to_incident("__value.raw")),
                Label("action", "Action"),
                Label("outcome", "Outcome"),
                Column("Was", incidents, hidden=True),
            ],
        ),
    ]


def _container() -> list[Panel]:
    ask = container_questions
    its = "{{name}} on {{server}}"
    state = About("Container", "What the site's container is; a click opens it.", "short", 8, 7)
    link = to_container("__field.labels.server", "__field.labels.name")
    beside = "The dashed line is the container's `{}` of sites.yml, above which its alert fires."
    return [
        states(state, Series(ask.of_site(ask.state(""), THIS), its), CONTAINER, link),
        *(
            lines(
                About(
                    f"Container's {what}",
                    f"Share of what it may use. {beside.format(key)}",
                    "percentunit",
                    8,
                    7,
                ),
                [
                    Series(ask.of_site(share, THIS), its),
                    Series(
                        ask.of_site(ask.each(f"sitemedic_container_{key}_threshold_ratio", ""), THIS), "limit"
                    ),
                ],
                limit="/^limit$/",
            )
            for what, key, share in (("CPU", "cpu", ask.cpu("")), ("memory", "memory", ask.memory("")))
        ),
    ]
