"""What only an HTTP probe tells, as metrics."""

from exporter.families import gauge
from exporter.labels import Labels
from exporter.result import HTTPFacts, Result

FAMILIES = (
    gauge("probe_http_duration_seconds", "Duration of http request by phase, summed over all redirects"),
    gauge("probe_http_status_code", "Response HTTP status code"),
    gauge("probe_http_version", "Returns the version of HTTP of the probe response"),
    gauge("probe_http_redirects", "The number of redirects"),
    gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect"),
    gauge("probe_http_content_length", "Length of http content response"),
    gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body"),
    gauge(
        "probe_http_last_modified_timestamp_seconds",
        "Returns the Last-Modified HTTP response header in unixtime",
    ),
    gauge("probe_failed_due_to_cel", "Indicates if probe failed due to CEL expression not matching"),
)


def http_lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    http = result.facts
    assert isinstance(http, HTTPFacts)
    of, phases = labels.plain, result.phases
    phase = f'probe_http_duration_seconds{labels.head}phase="'
    durations = (
        f'{phase}resolve"}} {phases.resolve:.6f}\n{phase}connect"}} {phases.connect:.6f}\n'
        f'{phase}tls"}} {phases.tls:.6f}\n{phase}processing"}} {phases.processing:.6f}\n'
        f'{phase}transfer"}} {phases.transfer:.6f}\n'
    )
    modified, cel = http.last_modified, http.failed_due_to_cel
    return (
        durations,
        f"probe_http_status_code{of} {http.status_code}\n",
        f"probe_http_version{of} {http.http_version!r}\n",
        f"probe_http_redirects{of} {http.redirects}\n",
        f"probe_http_ssl{of} {int(http.ssl)}\n",
        f"probe_http_content_length{of} {http.content_length}\n",
        f"probe_http_uncompressed_body_length{of} {http.uncompressed_body_length}\n",
        f"probe_http_last_modified_timestamp_seconds{of} {modified!r}\n" if modified is not None else "",
        f"probe_failed_due_to_cel{of} {int(cel)}\n" if cel is not None else "",
    )
