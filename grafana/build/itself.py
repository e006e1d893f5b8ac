"""Panels about Sitemedic's own health."""

from grafana.build.looks import BAD, GOOD, WARNING, YES_OR_NO, steps
from grafana.build.panels import About, Column, Panel, Series, lines, number, rows


def services() -> list[Panel]:
    """Show whether probes start in time, how many there are, what they cost, and which alerts fire."""
    lateness = (
        "histogram_quantile(0.99, sum by (le) "
        "(rate(sitemedic_exporter_probe_lateness_seconds_bucket[$__rate_interval])))"
    )
    late = About(
        "Probes' lateness, 99th percentile",
        "How long after its due time a probe starts. Above a second the exporter is short of CPU.",
        "s",
    )
    cpu = About("CPU", "Cores used by the two services.", "short")
    return [
        lines(late, [Series(lateness, "lateness")], steps(GOOD, (1, WARNING)), span=8),
        lines(
            About("Probes per second", "Probes made, all sites together.", "cps"),
            [Series("sum(rate(sitemedic_probes_total[$__rate_interval]))", "probes")],
            span=8,
        ),
        lines(
            cpu,
            [Series('rate(process_cpu_seconds_total{job=~"sitemedic-.*"}[$__rate_interval])', "{{job}}")],
            span=8,
        ),
        _alerts(),
        number(
            About(
                "Configuration read",
                "Whether the last reading of sites.yml succeeded. If not, the one before stays in force.",
                "short",
            ),
            Series("min(sitemedic_config_last_reload_successful)"),
            steps(BAD, (1, GOOD)),
            span=8,
        ).mappings(YES_OR_NO),
    ]


def _alerts() -> Panel:
    firing = Column(
        "Firing",
        'max by (alertname, site, severity) (ALERTS{alertstate="firing", alertname!="Watchdog"})',
        mappings=(*YES_OR_NO,),
    )
    about = About("Alerts firing", "Every alert that fires now, the watchdog left out.", "short")
    return rows(about, [firing], ["alertname", "site", "severity"], span=16)
