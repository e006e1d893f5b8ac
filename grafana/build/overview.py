"""The dashboard "Sitemedic: overview": every site, the worst first, and what fires."""

from grafana_foundation_sdk.builders.dashboard import CustomVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.build import limits, questions
from grafana.build.board import OVERVIEW, Board, asked, to_containers, to_incident, to_site
from grafana.build.looks import BAD, CERTIFICATE, FIRING, GOOD, NOTICE, STATES, WARNING, YES_OR_NO, steps
from grafana.build.panels import DATASOURCE, About, Panel, Series, lines, number, states
from grafana.build.tables import Column, Label, rows

CHOSEN_BY_NAME = 'site=~"$site"'
CHOSEN = 'group=~"$group", server=~"$server", site=~"$site"'
IS_CHOSEN = f"site:sitemedic_down:held{{{CHOSEN}}}"
WORST = 'site=~"$worst"'
ROWS = ("10", "25", "50", "100", "500")


def board() -> Board:
    """Return the dashboard."""
    return Board(
        uid=OVERVIEW,
        title="Sitemedic: overview",
        description="Every site: is it up, how fast is it, and what was done when it was down.",
        variables=[*_choices(), _worst()],
        first_glance=[*_now(), _sites(), _alerts(), _timeline()],
        rows=[("The sites listed above, over time", _over_time())],
    )


def _choices() -> list[CustomVariable | QueryVariable]:
    info = "sitemedic_site_info"
    chosen = 'group=~"$group", server=~"$server"'
    shown = [VariableOption(selected=text == "25", text=text, value=text) for text in ROWS]
    return [
        asked("group", "Group", "`group` of sites.yml.", f"label_values({info}, group)", many=True),
        asked(
            "server", "Server", "The servers that sites run on.", f"label_values({info}, server)", many=True
        ),
        asked("site", "Site", "Sites by name.", f"label_values({info}{{{chosen}}}, site)", many=True),
        CustomVariable("rows")
        .label("Rows")
        .description("How many sites are listed, the worst first.")
        .values(",".join(ROWS))
        .options(shown)
        .current(shown[1]),
    ]


def _worst() -> QueryVariable:
    """Return the names of the sites to list: the queries of the columns then ask for these alone.

    (Uptime over 30 days of 10,000 sites reads 86 million samples; of 25 of them, 200,000.)
    """
    worst = f"topk($rows, {questions.badness(CHOSEN_BY_NAME, IS_CHOSEN)})"
    return (
        QueryVariable("worst")
        .label("Worst sites")
        .description("The sites listed, the worst first.")
        .datasource(DATASOURCE)
        .query(f"query_result({worst})")
        .definition(f"query_result({worst})")
        .regex('/\\{site="(.*)"\\}/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
        .hide(VariableHide.HIDE_VARIABLE)
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _count(title: str, description: str, counted: str, colour: str, width: int = 2) -> Panel:
    expr = f"count({counted} and on (site) {IS_CHOSEN}) or vector(0)"
    about = About(title, description, "short", width, height=3)
    return number(about, Series(expr), steps(GOOD, (1, colour)))


def _now() -> list[Panel]:
    up = About("Sites up", "Sites whose last probe succeeded.", "short", width=3, height=3)
    down = "(site:sitemedic_down:held == 1)"
    incidents = "max by (site, incident) (sitemedic_incident_info{{{}}})".format
    return [
        number(up, Series(f"count(probe_success == 1 and on (site) {IS_CHOSEN}) or vector(0)"), steps(GOOD)),
        _count("Down", "Sites for which SiteDown fires.", down, BAD, width=3),
        *(
            _count(title, f"Sites for which {alert} fires.", held, NOTICE)
            for title, alert, held in (
                ("Flapping", "SiteFlapping", questions.FLAPPING),
                ("Slow", "SiteSlow", questions.SLOW),
                ("Burning", "SiteErrorBudgetBurn", questions.BURNING),
                ("Certificates", "SiteCertificateExpiring", questions.ENDING),
            )
        ),
        _count("Incidents", "Open incidents.", incidents(questions.OPEN), WARNING),
        _count("With a human", "Incidents handed over.", incidents('state="needs_human"'), BAD, width=3),
        *_altogether(),
    ]


def _altogether() -> list[Panel]:
    uptime = "Share of a day's probes that succeeded, on average over the sites."
    works = "Whether Prometheus reaches the exporter and the remediator. If not: Sitemedic itself."
    reached = 'min(up{job=~"sitemedic-exporter|sitemedic-remediator"}) or vector(0)'
    return [
        number(
            About("Uptime, 24 h", uptime, "percentunit", width=3, height=3),
            Series(f"avg(({questions.uptime(CHOSEN_BY_NAME, '24h')}) and on (site) {IS_CHOSEN})"),
            steps(BAD, (limits.default_objective(), GOOD)),
            decimals=2,
        ),
        number(
            About("Works", works, "short", width=2, height=3),
            Series(reached),
            steps(BAD, (1, GOOD)),
            mappings=YES_OR_NO,
        ),
    ]


def _sites() -> Panel:
    about = About(
        "Sites, the worst first",
        "As many as `Rows` says. Uptime and error budget count every probe; time without probes is left out. "
        "The budget is what `alert.objective` allows to fail within 30 days. A click opens the site.",
        "none",
        width=24,
        height=11,
    )
    return rows(about, _of_site(), worst_first="Badness")


def _of_site() -> list[Label | Column]:
    shares = steps(BAD, (limits.default_objective(), GOOD))
    incident = f"sitemedic_incident_info{{{questions.OPEN}, {WORST}}}"
    healing = f'label_replace({incident}, "healing", "$1", "state", "(.*)")'
    return [
        Column("Badness", questions.badness(WORST, f"site:sitemedic_down:held{{{WORST}}}"), hidden=True),
        Label("site", "Site", to_site("__value.raw")),
        Column("State", questions.state(WORST), mappings=STATES),
        Label("reason", "Reason"),
        Column("Failing", f"max by (site, reason) (sitemedic_probe_failure{{{WORST}}})", hidden=True),
        Label("incident", "Incident", to_incident("__value.raw")),
        Label("healing", "Healing"),
        Column("Incident open", f"max by (site, incident, healing) ({healing})", hidden=True),
        *(
            Column(f"Uptime {title}", questions.uptime(WORST, window), "percentunit", (), shares, decimals)
            for title, window, decimals in (("24 h", "24h", 2), ("7 d", "7d", 2), ("30 d", "30d", 3))
        ),
        Column(
            "Budget left",
            questions.budget_left(WORST),
            "percentunit",
            colours=steps(BAD, (0, GOOD)),
            decimals=0,
        ),
        Column("Latency", questions.by_site("probe_duration_seconds", WORST), "s"),
        Column("Limit", questions.by_site("sitemedic_site_within_seconds", WORST), "s"),
        Column("Certificate", questions.certificate_stage(WORST), mappings=CERTIFICATE),
        Column("Days", questions.certificate_days(WORST), decimals=0),
        Label("group", "Group"),
        Label("server", "Server", to_containers("__value.raw")),
        Column("Where", f"max by (site, group, server) (sitemedic_site_info{{{WORST}}})", hidden=True),
    ]


def _alerts() -> Panel:
    by = "alertname, site, severity"
    window = f'alertname!="Watchdog", {CHOSEN_BY_NAME}'
    began = (
        f"topk(50, max by ({by}) (max_over_time(ALERTS_FOR_STATE{{{window}}}[$__range])) and on ({by}) "
        f'max_over_time(ALERTS{{alertstate="firing", {window}}}[$__range]))'
    )
    about = About(
        "Recent alerts",
        "The alerts that fired within the time shown, the newest first, those of sites and Sitemedic's own. "
        "What the remediator has to tell (SiteNeedsHuman) stands in Alertmanager and in the console.",
        "none",
        width=12,
        height=7,
    )
    cells: list[Label | Column] = [
        Label("alertname", "Alert"),
        Label("site", "Site", to_site("__value.raw")),
        Label("severity", "Severity"),
        Column("Began", f"1000 * {began}", "dateTimeFromNow"),
        Column("Now", f'max by ({by}) (ALERTS{{alertstate="firing", {window}}})', mappings=FIRING),
    ]
    return rows(about, cells, worst_first="Began")


def _timeline() -> Panel:
    about = About(
        "State",
        "The sites listed above: up, slow, flapping, failing (not yet alerted), down; a gap is no data.",
        "short",
        width=12,
        height=7,
    )
    return states(about, Series(questions.state(WORST), "{{site}}"), link=to_site("__field.labels.site"))


def _over_time() -> list[Panel]:
    latency = "Of all probes of the sites listed, not only of the last before a scrape."
    return [
        lines(
            About("Latency", latency, "s", width=12, height=9),
            [
                Series(questions.percentile(share, WORST), f"{share:.0%}".replace("%", "th percentile"))
                for share in (0.5, 0.95, 0.99)
            ],
        ),
        lines(
            About("Failed probes by reason", "Of the sites listed, per second.", "cps", width=12, height=9),
            [
                Series(
                    f"sum by (reason) (rate(sitemedic_probe_failures_total{{{WORST}}}[$__rate_interval]))",
                    "{{reason}}",
                )
            ],
            stacked=True,
        ),
    ]
