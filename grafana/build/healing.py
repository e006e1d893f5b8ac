"""The dashboard "Sitemedic: healing": incidents, what was tried, what was held back and why."""

from grafana.build import limits, questions
from grafana.build.board import HEALING, Board, to_incident, to_site
from grafana.build.looks import BAD, GOOD, NEUTRAL, WARNING, YES_OR_NO, steps
from grafana.build.panels import About, Panel, Series, bars, lines, number
from grafana.build.tables import Column, Label, rows

HELD_BACK = 'decision=~"wait|refuse|observe|escalate"'


def board() -> Board:
    """Return the dashboard."""
    return Board(
        uid=HEALING,
        title="Sitemedic: healing",
        description="Incidents, attempts, what the guards held back, and whether the remediator is ready.",
        first_glance=[*_now(), _open(), *_readiness(), *_over_time()],
        rows=[("What was held back", _held_back()), ("How fast", _times())],
        since="now-24h",
    )


def _now() -> list[Panel]:
    return [
        number(
            About("Open incidents", "Outages that fresh probes have not yet proved over.", "short", 3, 4),
            Series("sum(sitemedic_incidents_open) or vector(0)"),
            steps(GOOD, (1, WARNING)),
        ),
        number(
            About("With a human", "Open incidents that the remediator has handed over.", "short", 3, 4),
            Series('sum(sitemedic_incidents_open{state="needs_human"}) or vector(0)'),
            steps(GOOD, (1, BAD)),
        ),
        _within(
            "Healed", "Incidents ended by an attempt", 'sitemedic_incidents_total{outcome="healed"}', GOOD
        ),
        _within(
            "Ended without us",
            "Incidents that ended by themselves or by a human's hand",
            'sitemedic_incidents_total{outcome=~"by_itself|by_a_human"}',
            NEUTRAL,
        ),
        _within(
            "Attempts failed",
            "Attempts that failed or were abandoned",
            'sitemedic_attempts_total{outcome!="succeeded"}',
            WARNING,
        ),
        _median("detect", "From the first failed probe to the incident"),
        _median("recover", "From the incident to its proved end"),
        number(
            About("Untold outages", "Closed incidents that nobody could be mailed about yet.", "short", 3, 4),
            Series("sum(sitemedic_outages_untold) or vector(0)"),
            steps(GOOD, (1, WARNING)),
        ),
    ]


def _within(title: str, description: str, counter: str, colour: str) -> Panel:
    about = About(title, f"{description}, within the time shown.", "short", 3, 4)
    series = Series(f"sum(increase({counter}[$__range])) or vector(0)")
    return number(about, series, steps(GOOD, (0.5, colour)), decimals=0)


def _median(what: str, description: str) -> Panel:
    about = About(f"Time to {what}, median", f"{description}, within the time shown.", "s", width=3, height=4)
    buckets = f"sitemedic_incident_{what}_seconds_bucket"
    return number(about, Series(f"histogram_quantile(0.5, sum by (le) (increase({buckets}[$__range])))"))


def _open() -> Panel:
    info = f"sitemedic_incident_info{{{questions.OPEN}}}"
    since = questions.by_site("sitemedic_failing_since_timestamp_seconds", 'site!=""')
    cells: list[Label | Column] = [
        Label("incident", "Incident", to_incident("__value.raw")),
        Label("site", "Site", to_site("__value.raw")),
        Label("state", "State"),
        Label("action", "Last action"),
        Label("outcome", "Its outcome"),
        Column("Open", f"topk(200, max by (incident, site, state, action, outcome) ({info}))", hidden=True),
        Column(
            "Failing for",
            f"(time() - ({since} > 0)) and on (site) {info}",
            "dtdurations",
            decimals=0,
        ),
    ]
    about = About(
        "What is open",
        "The open incidents, what was tried last and what came of it; a number leads to the console.",
        "none",
        width=14,
        height=8,
    )
    return rows(about, cells, worst_first="Failing for")


def _readiness() -> list[Panel]:
    limit = f"{limits.reconcile_seconds():.0f}"
    late = "max(time() - sitemedic_reconcile_last_run_timestamp_seconds)"
    asked = {
        "Ready": (
            "It can store notifications and comes round.",
            "min(sitemedic_remediator_ready) or vector(0)",
        ),
        "Reconciles": (
            f"Its last round was within {limit} s (RemediatorStale).",
            f"{late} <= bool {limit} or vector(0)",
        ),
        "Servers": (
            "No key or known_hosts file keeps it out of a server.",
            "min(sitemedic_server_ready) or vector(1)",
        ),
        "sites.yml": (
            "The last reading of sites.yml succeeded; if not, the one before stays in force.",
            "min(sitemedic_remediator_config_last_reload_successful) or vector(0)",
        ),
        "Not paused": (
            "No pause is in force; while one is, nothing in its scope is acted on.",
            "sum(sitemedic_pauses) == bool 0",
        ),
    }
    return [
        number(
            About(title, description, "short", width=2, height=8),
            Series(expr),
            steps(BAD, (1, GOOD)),
            mappings=YES_OR_NO,
        )
        for title, (description, expr) in asked.items()
    ]


def _over_time() -> list[Panel]:
    ended = "sum by (action, outcome) (increase(sitemedic_attempts_total[$__rate_interval])) > 0"
    return [
        lines(
            About("Incidents by state", "Open incidents, by what is being done.", "short", 8, 9),
            [Series("sum by (state) (sitemedic_incidents_open)", "{{state}}")],
            stacked=True,
        ),
        lines(
            About("Incidents that ended", "By outcome, per interval shown.", "short", 8, 9),
            [
                Series(
                    "sum by (outcome) (increase(sitemedic_incidents_total[$__rate_interval])) > 0",
                    "{{outcome}}",
                )
            ],
        ),
        lines(
            About("Attempts", "That ended, by action and outcome, per interval shown.", "short", 8, 9),
            [Series(ended, "{{action}} {{outcome}}")],
        ),
    ]


def _held_back() -> list[Panel]:
    guards = "sum by (guard) (increase(sitemedic_guard_holds_total[$__range])) > 0.5"
    reasons = (
        f"sum by (decision, reason) (increase(sitemedic_decisions_total{{{HELD_BACK}}}[$__range])) > 0.5"
    )
    decided = "sum by (decision, reason) (increase(sitemedic_decisions_total[$__rate_interval])) > 0"
    named = "{{decision}}: {{reason}}"
    return [
        bars(
            About(
                "By guard",
                "The new decisions that each guard held back within the time shown (docs/how-it-works.md).",
                "short",
                8,
                10,
            ),
            Series(f"sort_desc({guards})", "{{guard}}"),
        ),
        bars(
            About(
                "By reason",
                "The new decisions to wait, refuse, observe or hand over within the time shown.",
                "short",
                8,
                10,
            ),
            Series(f"sort_desc({reasons})", named),
        ),
        lines(
            About("Decisions", "Decisions that were news, per interval shown.", "short", 8, 10),
            [Series(decided, named)],
        ),
    ]


def _times() -> list[Panel]:
    return [
        lines(
            About(f"Time to {what}", f"{description}, of the incidents of an hour.", "s", 12, 8),
            [
                Series(
                    f"histogram_quantile({share}, sum by (le) "
                    f"(increase(sitemedic_incident_{what}_seconds_bucket[1h])))",
                    f"{100 * share:.0f}th percentile",
                )
                for share in (0.5, 0.95)
            ],
        )
        for what, description in (
            ("detect", "From the first failed probe to the incident"),
            ("recover", "From the incident to its proved end"),
        )
    ]
