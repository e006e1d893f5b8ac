"""The keys of sites.yml that the exporter reads: modules, canaries, and how each site is probed."""

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator

from core.durations import Duration, format_duration
from core.faults import quoted
from core.servers.containers import ContainerThresholds
from core.shares import format_share, parse_share
from core.sites import Options
from exporter.allowed import parse_pattern
from exporter.matching.patterns import Pattern
from exporter.module import Module
from exporter.probers import BY_SCHEME
from exporter.probers.http_options import StatusMatch
from exporter.resolve import literal
from exporter.target import instance

LEAST_INTERVAL = 0.1
"""Seconds between two probes of a site, at the least."""

SYSTEM = "system"
"""The resolver of sites that name none: /etc/hosts and the name servers of /etc/resolv.conf."""

MOST_RETRIES = 5
"""Confirming probes of one failure, at the most."""

LEAST_HEARTBEAT = 1.0
"""Seconds of `every` and `grace`, at the least."""

RESERVED_LABELS = frozenset(
    {"site", "instance", "job", "group", "server", "part_of", "severity", "parent", "healing", "reason"}
    | {"phase", "le"}
)
"""Labels that Sitemedic or Prometheus sets itself."""

_NAMESERVER = re.compile(
    r"(?:\[([^\[\]]+)\]|([^:\[\]]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))(?::(\d{1,5}))?"
)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@lru_cache(maxsize=20_000)
def prober_of(url: str) -> str:
    """Return the prober that a URL's scheme asks for.

    Raises ValueError with the mend where it asks for none, or the URL cannot be read.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme in BY_SCHEME:
        BY_SCHEME[scheme].place(url)
        return BY_SCHEME[scheme].name
    if scheme:
        known = ", ".join(f"{one}://" for one in BY_SCHEME)
        raise ValueError(f"must begin with one of {known}")
    raise ValueError(f"needs its protocol in front: https://{instance(url)} or tcp://{instance(url)}")


def _target(value: str) -> str:
    prober_of(value)
    return value


def _url(value: str) -> str:
    """Check a site's URL; one without a scheme (file_sd has them) waits for its module."""
    if "://" in value:
        prober_of(value)
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _pattern(value: str) -> str:
    parse_pattern(value)
    return value


def _nameserver(value: str) -> str:
    if value == SYSTEM:
        return value
    match = _NAMESERVER.fullmatch(value)
    host, port = (match[1] or match[2], int(match[3] or 53)) if match else (value, 53)
    if literal(host) is None or not 0 < port < 65536:
        raise ValueError(
            f"must be the address of a name server, such as 10.0.0.2, 10.0.0.2:5353 or [2001:db8::1]:53, "
            f"or {SYSTEM} (got {quoted(value)})"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _objective(value: object) -> float:
    objective = parse_share(value, "99.9% or 0.999")
    if objective == 1:
        raise ValueError("must be below 100%: such a promise leaves nothing to measure failures by (99.99%?)")
    if objective == 0:
        raise ValueError("must be above 0%: it is the share of probes that shall succeed")
    return objective


Target = Annotated[str, AfterValidator(_target)]
URL = Annotated[str, AfterValidator(_url), Field(min_length=1)]
Nameserver = Annotated[str, AfterValidator(_nameserver)]
TargetPattern = Annotated[str, AfterValidator(_pattern)]
Objective = Annotated[
    float,
    BeforeValidator(_objective, json_schema_input_type=str | float),
    PlainSerializer(format_share, return_type=str, when_used="json"),
]
Statuses = Annotated[
    tuple[StatusMatch, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=StatusMatch | tuple[StatusMatch, ...]),
]


class _Described(Options):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ExpectWithin(_Described):
    """What may be expected of every site."""

    within: Duration | None = None
    """A successful probe that takes longer counts as slow."""


class Expect(ExpectWithin):
    """What is expected of a site's answer; anything more belongs in a module."""

    status: Statuses | None = None
    """The HTTP status, or several, or a class of them: 200, [200, 204], 2xx."""
    body: Pattern | None = None
    """A pattern (RE2) that must be in the body."""


class AlertOptions(_Described):
    """When a failing site alerts, and how loudly."""

    after: Duration = 30.0
    """How long it must fail before it alerts."""
    severity: Literal["critical", "warning"] = "critical"
    """The alert's severity."""
    objective: Objective = 0.999
    """The share of its probes that shall succeed over 30 days; below 100%. The rest is its error budget."""


class _Probing(_Described):
    """The keys that a site and `defaults:` share."""

    module: str | None = None
    """The set of probe options to use; without one, http_2xx or tcp_connect, as the URL says."""
    interval: Duration = 15.0
    """How often it is probed."""
    timeout: Duration | None = None
    """How long one probe may take; below the interval. Default: the smaller of 5s and 0.8 of the interval."""
    retries: int = Field(1, ge=0, le=MOST_RETRIES)
    """How many more probes confirm the first failed one, a second later each."""
    resolver: Nameserver = SYSTEM
    """The name server that its name is asked of: 10.0.0.2, 10.0.0.2:5353 or [2001:db8::1]:53; or system."""
    group: str = ""
    """Any word to group sites by, in dashboards and queries."""
    alert: AlertOptions = AlertOptions()
    """When it alerts."""
    container: ContainerThresholds = ContainerThresholds()
    """From when on the container of recover: uses too much."""

    @field_validator("interval")
    @classmethod
    def _not_too_often(cls, interval: float) -> float:
        if interval < LEAST_INTERVAL:
            raise ValueError(
                f"must be {format_duration(LEAST_INTERVAL)} or more (got {format_duration(interval)})"
            )
        return interval

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, timeout: float | None) -> float | None:
        if timeout == 0:
            raise ValueError("must be more than 0")
        return timeout


class SiteDefaults(_Probing):
    """What the exporter reads under `defaults:`."""

    expect: ExpectWithin = ExpectWithin()
    """Only `within`: status and body belong to a site or a module."""


class SiteOptions(_Probing):
    """What the exporter reads of a site."""

    url: URL
    """What is probed: https://shop.example.com/health, tcp://10.0.0.5:6379; heartbeat://NAME is called."""
    every: Duration | None = None
    """For heartbeat://: how often the job says that it succeeded."""
    grace: Duration | None = None
    """For heartbeat://: how much later, and how long a run may take. Default: the smaller of 1h and every."""
    token_file: str | None = None
    """For heartbeat://: a file with the token of its address; without one it is derived."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels for sitemedic_site_info."""
    expect: Expect = Expect()
    """What is expected of its answer, beside what the module says."""

    @field_validator("every", "grace")
    @classmethod
    def _a_second(cls, seconds: float | None) -> float | None:
        if seconds is not None and seconds < LEAST_HEARTBEAT:
            least = format_duration(LEAST_HEARTBEAT)
            raise ValueError(f"must be {least} or more (got {format_duration(seconds)})")
        return seconds

    @field_validator("labels")
    @classmethod
    def _usable(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r} is no label: letters, digits and _, and not __ in front")
            if name in RESERVED_LABELS:
                raise ValueError(f"{name!r} is set by Sitemedic: choose another name")
        return labels


class TopOptions(_Described):
    """What the exporter reads at the top of the file."""

    modules: dict[str, Module] = Field(default_factory=dict)
    """Sets of probe options, in blackbox_exporter's words."""
    modules_file: str | None = None
    """A blackbox.yml with more of them; relative to this file."""
    probe_targets: tuple[TargetPattern, ...] = ()
    """What /probe serves beside the sites: URL prefixes, or host patterns such as *.example.com."""
    canaries: tuple[Target, ...] = ()
    """Targets outside; when they fail too, the fault is at our end and nothing is healed."""
