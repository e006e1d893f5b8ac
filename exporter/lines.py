"""A site's lines of the exposition: one ready string per family, empty where it has nothing to say.

Written out by hand and kept: 10,000 sites through prometheus_client's `generate_latest` block the
loop for 0.87 s at each scrape. Durations are written to the microsecond and times to the millisecond: a
float's shortest exact digits take three times as long, and most of a scrape's bytes.
"""

from functools import lru_cache
from itertools import accumulate

from exporter.families import COMMON, FAILURE, FIXED, HISTORY, REGEX, TLS
from exporter.labels import Labels, escaped
from exporter.probers import PROBERS
from exporter.reason import Reason
from exporter.result import ChainFacts, Result, TLSFacts
from exporter.state import BUCKETS, Moment, SiteState

_BUCKETS = "".join(f'\0le="{bound}"}} %d\n' for bound in (*BUCKETS, "+Inf"))
"""The lines of a histogram's buckets, with their names and labels still to come."""
_PROBES, _GOOD, _BAD, _LATENCY, _, _LAST, _SUCCEEDED, _FAILING, _SLOW, _LIFETIME = (
    family.name for family in HISTORY
)
_INFO, _INTERVAL, _AFTER, _WITHIN, _OBJECTIVE = (family.name for family in FIXED)
_NO_TLS = ("",) * len(TLS)
_BLOCKS = list(dict.fromkeys(prober.families for prober in PROBERS.values()))
"""What only some protocols tell; tcp and unix tell the same."""
_NOTHING_OWN = ("",) * sum(map(len, _BLOCKS))
RESULT = (*COMMON, REGEX, *TLS, *(family for block in _BLOCKS for family in block))
"""What one probe found: also the answer of /probe."""
HEADERS = tuple(family.header for family in RESULT + HISTORY + FIXED)


def _around(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the empty places of the protocols before and after one."""
    at = _BLOCKS.index(PROBERS[name].families)
    before, after = (sum(map(len, part)) for part in (_BLOCKS[:at], _BLOCKS[at + 1 :]))
    return ("",) * before, ("",) * after


_LOCAL = frozenset(name for name, prober in PROBERS.items() if not prober.networked)
_AROUND = {name: _around(name) for name in PROBERS}


def result_lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `RESULT`."""
    of = labels.plain
    regex: bool | None = getattr(result.facts, "failed_due_to_regex", None)
    networked = result.prober not in _LOCAL
    return (
        f"probe_success{of} {int(result.success)}\n",
        f"probe_duration_seconds{of} {result.duration:.6f}\n",
        f"probe_dns_lookup_time_seconds{of} {result.dns_lookup_time:.6f}\n" if networked else "",
        f"probe_ip_protocol{of} {result.ip_protocol}\n" if networked else "",
        f"probe_ip_addr_hash{of} {result.ip_addr_hash}\n" if networked else "",
        f"probe_failed_due_to_regex{of} {int(regex)}\n" if regex is not None else "",
        *(_tls_lines(result.tls, labels) if result.tls else _NO_TLS),
        *_own_lines(result, labels),
    )


def _own_lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return what only the result's protocol tells, with empty places for the others."""
    around = _AROUND.get(result.prober)
    if around is None or result.facts is None:
        return _NOTHING_OWN
    before, after = around
    return (*before, *PROBERS[result.prober].lines(result, labels), *after)


def _tls_lines(tls: TLSFacts, labels: Labels) -> tuple[str, ...]:
    of, head = labels.plain, labels.head
    expiry, version, cipher, chain = tls.earliest_expiry, tls.version, tls.cipher, tls.chain
    trusted = chain.trusted_until if chain else None
    return (
        f"probe_ssl_earliest_cert_expiry{of} {expiry!r}\n" if expiry is not None else "",
        f"probe_ssl_last_chain_expiry_timestamp_seconds{of} {trusted!r}\n" if trusted is not None else "",
        f"probe_ssl_last_chain_info{head}{_described(chain)}}} 1\n" if chain else "",
        f'probe_tls_version_info{head}version="{escaped(version)}"}} 1\n' if version else "",
        f'probe_tls_cipher_info{head}cipher="{escaped(cipher)}"}} 1\n' if cipher else "",
    )


@lru_cache(maxsize=20_000)
def _described(chain: ChainFacts) -> str:
    """Write a certificate as labels, in the order of their names."""
    return ",".join(
        f'{name}="{escaped(value)}"'
        for name, value in (
            ("fingerprint_sha256", chain.fingerprint),
            ("issuer", chain.issuer),
            ("serialnumber", chain.serial),
            ("subject", chain.subject),
            ("subjectalternative", chain.names),
        )
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
        f"{_LAST}{of} {state.probed.wall:.3f}\n" if state.probed else "",
        f"{_SUCCEEDED}{of} {state.succeeded.wall:.3f}\n" if state.succeeded else "",
        f"{_FAILING}{of} {_since(state.failing)}\n" if last is not None else "",
        f"{_SLOW}{of} {_since(state.slow)}\n" if last is not None and state.site.within is not None else "",
        f"{_LIFETIME}{of} {lifetime!r}\n" if lifetime is not None else "",
    )


def failure_line(reason: Reason, labels: Labels) -> str:
    """Return the line that tells why the last probe failed."""
    return f'{FAILURE.name}{labels.head}reason="{reason}"}} 1\n'


def _since(moment: Moment | None) -> str:
    return f"{moment.wall:.3f}" if moment else "0"


def _histogram(name: str, state: SiteState, labels: Labels) -> str:
    of, head = labels.plain, f"{name}_bucket{labels.head}"
    buckets = (_BUCKETS % tuple(accumulate(state.bucket_counts))).replace("\0", head)
    return f"{buckets}{name}_sum{of} {state.duration_sum:.6f}\n{name}_count{of} {state.probes}\n"


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
