"""Panels about the sites: their state, reasons, speed and uptime."""

from grafana.build.looks import BAD, GOOD, UP_OR_DOWN, WARNING, YES_OR_NO, steps
from grafana.build.panels import About, Column, Panel, Series, bars, lines, number, rows, states

SITE = 'site=~"$site"'
DAY = 86400

# As in prometheus/rules/sites.yml: a test compares them.
CERTIFICATE_WARNING_DAYS = 14


def now() -> list[Panel]:
    """Show how many sites are up, failing, alerted and slow, and whether both services answer."""
    return [
        number(
            About("Sites up", "Sites whose last probe succeeded.", "short"),
            Series(f"count(probe_success{{{SITE}}} == 1) or vector(0)"),
            steps(GOOD),
        ),
        number(
            About("Sites failing", "Sites whose last probe failed, alerted or not yet.", "short"),
            Series(f"count(probe_success{{{SITE}}} == 0) or vector(0)"),
            steps(GOOD, (1, BAD)),
        ),
        _firing("SiteDown", "Sites that have been failing for longer than their `alert.after`.", BAD),
        _firing("SiteSlow", "Sites that answer, but slower than their `expect.within`.", WARNING),
        _service("Exporter", "While it is not reached, the sites' states are not known."),
        _service("Remediator", "While it is not reached, nothing is healed."),
    ]


def _firing(alert: str, description: str, colour: str) -> Panel:
    expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing", {SITE}}}) or vector(0)'
    return number(About(f"{alert} firing", description, "short"), Series(expr), steps(GOOD, (1, colour)))


def _service(title: str, otherwise: str) -> Panel:
    expr = f'min(up{{job="sitemedic-{title.lower()}"}}) or vector(0)'
    about = About(title, f"Whether Prometheus reaches the {title.lower()}. {otherwise}", "short")
    return number(about, Series(expr), steps(BAD, (1, GOOD))).mappings(UP_OR_DOWN)


def table_and_timeline() -> list[Panel]:
    """Show every site's state over time, its figures, and the reason of those that fail."""
    timeline = About(
        "State of every site",
        "Result of each probe over time: up, down, or no data while the exporter was away.",
        "short",
    )
    reasons = About(
        "Reasons",
        "Why a site's last probe failed: status, body, header, protocol (it answers wrongly), refused, "
        "reset, timeout (it does not answer), dns, certificate, tls, error (for a human).",
        "short",
    )
    failing = Column(
        "Failing",
        f"max by (site, reason) (sitemedic_probe_failure{{{SITE}}})",
        mappings=(*YES_OR_NO,),
    )
    return [
        states(timeline, Series(f"max by (site) (probe_success{{{SITE}}})", "{{site}}")),
        _figures(),
        rows(reasons, [failing], ["site", "reason"], span=8),
    ]


def _figures() -> Panel:
    about = About(
        "Sites in figures",
        "Each site's last result. `Certificate` is the time left to the one that ends first.",
        "short",
    )
    by_site = "max by (site, instance) ({})".format
    state = (
        f"max by (site, instance) (probe_success{{{SITE}}}) * on (site, instance) group_left (group, server) "
        "max by (site, instance, group, server) (sitemedic_site_info)"
    )
    failing_since = by_site(f"sitemedic_failing_since_timestamp_seconds{{{SITE}}}")
    last_success = by_site(f"sitemedic_last_success_timestamp_seconds{{{SITE}}}")
    expiry = by_site(f"probe_ssl_earliest_cert_expiry{{{SITE}}}")
    columns = [
        Column("State", state, mappings=(*UP_OR_DOWN,)),
        Column("Took", by_site(f"probe_duration_seconds{{{SITE}}}"), "s"),
        Column("Failing for", f"time() - ({failing_since} > 0)", "s", colours=steps(BAD)),
        Column("Since last success", f"time() - {last_success}", "s"),
        Column(
            "Certificate",
            f"{expiry} - time()",
            "s",
            colours=steps(BAD, (0, WARNING), (CERTIFICATE_WARNING_DAYS * DAY, GOOD)),
        ),
    ]
    return rows(about, columns, ["site", "instance", "group", "server"], span=16)


def speed() -> list[Panel]:
    """Show how long probes take, by site and by phase, and how many fail, by reason."""
    limit = Series(f"max by (site) (sitemedic_site_within_seconds{{{SITE}}})", "{{site}} limit")
    beside = "The dashed line is the site's own limit (`expect.within`), above which SiteSlow fires."
    p95 = (
        "histogram_quantile(0.95, sum by (le, site) "
        f"(rate(sitemedic_probe_latency_seconds_bucket{{{SITE}}}[$__rate_interval])))"
    )
    phases = f"avg by (phase) (probe_http_duration_seconds{{{SITE}}})"
    failures = f"sum by (reason) (rate(sitemedic_probe_failures_total{{{SITE}}}[$__rate_interval]))"
    return [
        lines(
            About("Latency", f"How long the last probe took. {beside}", "s"),
            [Series(f"max by (site) (probe_duration_seconds{{{SITE}}})", "{{site}}"), limit],
            dashed="/ limit$/",
        ),
        lines(
            About(
                "Latency, 95th percentile", f"Of all probes, not only the last before a scrape. {beside}", "s"
            ),
            [Series(p95, "{{site}}"), limit],
            dashed="/ limit$/",
        ),
        lines(
            About("Where the time goes", "Mean time of an HTTP probe by phase, of the sites selected.", "s"),
            [Series(phases, "{{phase}}")],
        ),
        lines(
            About("Failed probes by reason", "Failed probes per second, of the sites selected.", "cps"),
            [Series(failures, "{{reason}}")],
        ),
    ]


def uptime() -> list[Panel]:
    """Show the share of time each site was up, over a day, a week and 30 days."""
    # One sample in five minutes over the long ranges: with every sample, 30 days of some 300 sites
    # would pass Prometheus's limit of 50 million samples a query. A site too new to have one has
    # the average of every sample.
    new = f"avg by (site) (avg_over_time(probe_success{{{SITE}}}[1h]))"
    ranges = {"24 hours": "24h", "7 days": "7d:5m", "30 days": "30d:5m"}
    return [
        bars(
            About(
                f"Uptime, {title}",
                f"Share of the last {title} in which probes succeeded. Time without data is left out.",
                "percentunit",
            ),
            Series(f"avg by (site) (avg_over_time(probe_success{{{SITE}}}[{window}])) or {new}", "{{site}}"),
            steps(BAD, (0.99, WARNING), (0.999, GOOD)),
        )
        for title, window in ranges.items()
    ]
