"""What is asked of Prometheus about sites, in one place; each takes the matcher that picks the sites.

All answer by `site`, so that tables can join them and operators can meet.
"""

OPEN = 'state!~"recovered|removed"'
"""Of sitemedic_incident_info: the incidents that are not over."""

BURNING = "site:sitemedic_error_budget_burn_since_timestamp_seconds:held"
SLOW = "site:sitemedic_slow_since_timestamp_seconds:held"
FLAPPING = "site:sitemedic_flapping_timestamp_seconds:held"
ENDING = "site:probe_ssl_earliest_cert_expiry:held"
"""There while SiteErrorBudgetBurn, SiteSlow, SiteFlapping, SiteCertificateExpiring fire."""

CERTIFICATE_STAGES = {"expired": 4, "last": 3, "second": 2, "first": 1}


def by_site(metric: str, sites: str) -> str:
    """Ask for a metric as one series per site, wherever else its labels come from."""
    return f"max by (site) ({metric}{{{sites}}})"


def state(sites: str) -> str:
    """Ask for each site's state: 4 down (SiteDown fires), 3 failing, 2 flapping, 1 slow, 0 up."""
    return (
        f"4 * ({by_site('site:sitemedic_down:held', sites)} == 1) "
        f"or on (site) 3 + 0 * ({by_site('probe_success', sites)} == 0) "
        f"or on (site) 2 + 0 * {by_site(FLAPPING, sites)} "
        f"or on (site) 1 + 0 * {by_site(SLOW, sites)} "
        f"or on (site) 0 * {by_site('probe_success', sites)}"
    )


def uptime(sites: str, window: str) -> str:
    """Ask for the share of probes that succeeded within `window`; of a young site, within 5 minutes.

    Of what is recorded every 10 minutes: 4,320 samples for 30 days, however often a site is probed.
    """
    made, good = (
        f"sum by (site) (sum_over_time(site:sitemedic_{name}:increase10m{{{sites}}}[{window}]))"
        for name in ("probes", "probe_successes")
    )
    young = by_site("site:sitemedic_probes:success_ratio_rate5m", sites)
    return f"clamp_max({good} / ({made} > 0), 1) or on (site) {young}"


def budget_left(sites: str) -> str:
    """Ask for the share of 30 days' error budget that is left: 1 nothing spent, below 0 overspent."""
    return by_site("site:sitemedic_error_budget:remaining_ratio30d", sites)


def certificate_days(sites: str) -> str:
    """Ask for the days until the first of a site's certificates ends."""
    return f"(min by (site) (probe_ssl_earliest_cert_expiry{{{sites}}}) - time()) / 86400"


def certificate_stage(sites: str) -> str:
    """Ask how far SiteCertificateExpiring has come: 4 ended, 3 to 1 its warnings, 0 nothing to say.

    Its limits depend on how long a certificate is valid in all, so the alert itself is asked.
    """
    fires = f'alertname="SiteCertificateExpiring", alertstate="firing", {sites}, stage='
    stages = [
        f"{number} + 0 * " + by_site("ALERTS", f'{fires}"{stage}"')
        for stage, number in CERTIFICATE_STAGES.items()
    ]
    fine = f"0 * {by_site('probe_ssl_earliest_cert_expiry', sites)}"
    return " or on (site) ".join([*stages, fine])


def percentile(share: float, sites: str) -> str:
    """Ask for a percentile of how long probes took, each probe counted."""
    return (
        f"histogram_quantile({share}, sum by (le) "
        f"(rate(sitemedic_probe_latency_seconds_bucket{{{sites}}}[$__rate_interval])))"
    )


def badness(sites: str, chosen: str) -> str:
    """Ask how badly each site stands that is among those `chosen` (a selector); 0 is well.

    Only what is wrong is added up, so that ten thousand sites that are well cost little.
    """
    wrong = {
        "down": f"40 * ({by_site('site:sitemedic_down:held', sites)} == 1)",
        "failing": f"30 + 0 * ({by_site('probe_success', sites)} == 0)",
        "flapping": f"20 + 0 * {by_site(FLAPPING, sites)}",
        "slow": f"10 + 0 * {by_site(SLOW, sites)}",
        "burning": f"5 + 0 * {by_site(BURNING, sites)}",
        "ending": f"2 + 0 * {by_site(ENDING, sites)}",
        "failed": f"1 - ({by_site('site:sitemedic_probes:success_ratio_rate5m', sites)} < 1)",
    }
    parts = [f'label_replace({expr}, "part", "{part}", "", "")' for part, expr in wrong.items()]
    well = f"0 * max by (site) ({chosen})"
    return f"sum by (site) ({' or '.join([*parts, well])}) and on (site) {chosen}"
