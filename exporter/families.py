"""The metric families of a site: names, types and help, in the order in which they are exposed.

`probe_*` names are blackbox_exporter's, only where the meaning is the same.
"""

from typing import NamedTuple


class Family(NamedTuple):
    """One metric family of the text exposition format."""

    name: str
    kind: str
    help: str

    @property
    def header(self) -> str:
        """Return its HELP and TYPE lines."""
        return f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.kind}\n"


def gauge(name: str, text: str) -> Family:
    """Return a family of the kind that most are."""
    return Family(name, "gauge", text)


COMMON = (
    gauge("probe_success", "Displays whether or not the probe was a success"),
    gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds"),
    gauge("probe_dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds"),
    gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6"),
    gauge(
        "probe_ip_addr_hash",
        "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
    ),
)
"""What every probe tells."""

REGEX = gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex")
"""What every probe of a protocol with patterns tells."""

TLS = (
    gauge("probe_ssl_earliest_cert_expiry", "Returns earliest SSL cert expiry in unixtime"),
    gauge(
        "probe_ssl_last_chain_expiry_timestamp_seconds", "Returns last SSL chain expiry in timestamp seconds"
    ),
    gauge("probe_ssl_last_chain_info", "Contains SSL leaf certificate information"),
    gauge("probe_tls_version_info", "Returns the TLS version used or NaN when unknown"),
    gauge("probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake"),
)
"""What every probe with TLS tells."""

FAILURE = gauge(
    "sitemedic_probe_failure", "1 with the reason of the last probe's failure; absent while it succeeds."
)

HISTORY = (
    Family("sitemedic_probes_total", "counter", "Probes made on schedule."),
    Family("sitemedic_probe_successes_total", "counter", "Successful probes made on schedule."),
    Family("sitemedic_probe_failures_total", "counter", "Failed probes made on schedule, by reason."),
    Family("sitemedic_probe_latency_seconds", "histogram", "Duration of every probe made on schedule."),
    FAILURE,
    gauge("sitemedic_last_probe_timestamp_seconds", "When the last probe began."),
    gauge("sitemedic_last_success_timestamp_seconds", "When the last successful probe began."),
    gauge(
        "sitemedic_failing_since_timestamp_seconds",
        "When the first failed probe of the current streak began; 0 while the site succeeds.",
    ),
    gauge(
        "sitemedic_slow_since_timestamp_seconds",
        "When the first probe slower than expect.within of the current streak began; 0 while it is not slow.",
    ),
    gauge(
        "sitemedic_certificate_lifetime_seconds",
        "How long the certificate that ends first is valid, from its beginning to its end.",
    ),
)
"""What the exporter remembers of a site."""

FIXED = (
    Family("sitemedic_site_info", "gauge", "1 with what the configuration says of the site."),
    gauge("sitemedic_site_interval_seconds", "How often the site is probed."),
    gauge("sitemedic_site_alert_after_seconds", "How long the site must fail before it alerts."),
    gauge("sitemedic_site_within_seconds", "Above this duration a successful probe counts as slow."),
    gauge("sitemedic_site_objective_ratio", "The share of its probes that shall succeed."),
)
"""What the configuration says of a site."""
