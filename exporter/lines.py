"""A site's lines of the exposition: one ready string per family, empty where it has nothing to say.

Written out by hand and kept: 10,000 sites through prometheus_client's `generate_latest` block the
loop for 0.87 s at each scrape.
"""

from itertools import accumulate

from exporter.families import FAILURE, FIXED, HISTORY
from exporter.reason import Reason
from exporter.result import HTTPFacts, Result, TLSFacts
from exporter.state import BUCKETS, Moment, SiteState

_LE = (*(f'le="{bound!r}"' for bound in BUCKETS), 'le="+Inf"')
_PROBES, _GOOD, _BAD, _LATENCY, _, _LAST, _SUCCEEDED, _FAILING, _SLOW, _LIFETIME = (
    family.name for family in HISTORY
)
_INFO, _INTERVAL, _AFTER, _WITHIN, _OBJECTIVE = (family.name for family in FIXED)
_NO_TLS = ("", "", "")
_NO_HTTP = ("",) * 8


class Labels:
    """The labels of a series: `plain` whole, `head` open for one more."""

    __slots__ = ("head", "plain")

    def __init__(self, **labels: str) -> None:
        inner = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
        self.plain = f"{{{inner}}}" if inner else ""
        self.head = f"{{{inner}," if inner else "{"


def escaped(value: str) -> str:
    """Escape a label's value for the text format."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def result_lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `families.RESULT`."""
    of = labels.plain
    facts = result.http or result.tcp
    regex = f"probe_failed_due_to_regex{of} {int(facts.failed_due_to_regex)}\n" if facts else ""
    return (
        f"probe_success{of} {int(result.success)}\n",
        f"probe_duration_seconds{of} {result.duration!r}\n",
        f"probe_dns_lookup_time_seconds{of} {result.dns_lookup_time!r}\n",
        f"probe_ip_protocol{of} {result.ip_protocol}\n",
        f"probe_ip_addr_hash{of} {result.ip_addr_hash}\n",
        regex,
        *(_tls_lines(result.tls, labels) if result.tls else _NO_TLS),
        *(_http_lines(result, result.http, labels) if result.http else _NO_HTTP),
    )


def _tls_lines(tls: TLSFacts, labels: Labels) -> tuple[str, ...]:
    of, head = labels.plain, labels.head
    expiry, version, cipher = tls.earliest_expiry, tls.version, tls.cipher
    return (
        f"probe_ssl_earliest_cert_expiry{of} {expiry!r}\n" if expiry is not None else "",
        f'probe_tls_version_info{head}version="{escaped(version)}"}} 1\n' if version else "",
        f'probe_tls_cipher_info{head}cipher="{escaped(cipher)}"}} 1\n' if cipher else "",
    )


def _http_lines(result: Result, http: HTTPFacts, labels: Labels) -> tuple[str, ...]:
    of, phases = labels.plain, result.phases
    phase = f'probe_http_duration_seconds{labels.head}phase="'
    durations = (
        f'{phase}resolve"}} {phases.resolve!r}\n{phase}connect"}} {phases.connect!r}\n'
        f'{phase}tls"}} {phases.tls!r}\n{phase}processing"}} {phases.processing!r}\n'
        f'{phase}transfer"}} {phases.transfer!r}\n'
    )
    modified = http.last_modified
    return (
        durations,
        f"probe_http_status_code{of} {http.status_code}\n",
        f"probe_http_version{of} {http.http_version!r}\n",
        f"probe_http_redirects{of} {http.redirects}\n",
        f"probe_http_ssl{of} {int(http.ssl)}\n",
        f"probe_http_content_length{of} {http.content_length}\n",
        f"probe_http_uncompressed_body_length{of} {http.uncompressed_body_length}\n",
        f"probe_http_last_modified_timestamp_seconds{of} {modified!r}\n" if modified is not None else "",
    )


def history_lines(state: SiteState, labels: Labels) -> tuple[str, ...]:
    """Return the lines of a site's history, in the order of `families.HISTORY`."""
    of, head = labels.plain, labels.head
    last = state.last
    lifetime = last.tls.lifetime if last is not None and last.tls is not None else None
    failures = [f'{_BAD}{head}reason="{reason}"}} {count}\n' for reason, count in state.failures.items()]
    return (
        f"{_PROBES}{of} {state.probes}\n",
        f"{_GOOD}{of} {state.successes}\n",
        "".join(failures),
        _histogram(_LATENCY, state, labels),
        failure_line(last.reason, labels) if last is not None and last.reason else "",
        f"{_LAST}{of} {state.probed.wall!r}\n" if state.probed else "",
        f"{_SUCCEEDED}{of} {state.succeeded.wall!r}\n" if state.succeeded else "",
        f"{_FAILING}{of} {_since(state.failing)}\n" if last is not None else "",
        f"{_SLOW}{of} {_since(state.slow)}\n" if last is not None and state.site.within is not None else "",
        f"{_LIFETIME}{of} {lifetime!r}\n" if lifetime is not None else "",
    )


def failure_line(reason: Reason, labels: Labels) -> str:
    """Return the line that tells why the last probe failed."""
    return f'{FAILURE.name}{labels.head}reason="{reason}"}} 1\n'


def _since(moment: Moment | None) -> str:
    return repr(moment.wall) if moment else "0"


def _histogram(name: str, state: SiteState, labels: Labels) -> str:
    bucket = f"{name}_bucket{labels.head}"
    counts = accumulate(state.bucket_counts)
    lines = [f"{bucket}{le}}} {count}\n" for le, count in zip(_LE, counts, strict=True)]
    lines.append(
        f"{name}_sum{labels.plain} {state.duration_sum!r}\n{name}_count{labels.plain} {state.probes}\n"
    )
    return "".join(lines)


def fixed_lines(state: SiteState, labels: Labels) -> tuple[str, ...]:
    """Return the lines of what the configuration says, in the order of `families.FIXED`."""
    site, of = state.site, labels.plain
    info = Labels(site=site.name, instance=site.instance, **dict(site.info))
    return (
        f"{_INFO}{info.plain} 1\n",
        f"{_INTERVAL}{of} {site.interval!r}\n",
        f"{_AFTER}{of} {site.after!r}\n",
        f"{_WITHIN}{of} {site.within!r}\n" if site.within is not None else "",
        f"{_OBJECTIVE}{of} {site.objective!r}\n",
    )
