"""The icmp prober: one echo request, and its reply."""

import errno
import time
from typing import Literal, NamedTuple

from pydantic import ConfigDict, Field

from core.sites import Options
from exporter.families import gauge
from exporter.labels import Labels
from exporter.probers.addresses import addresses_of
from exporter.probers.ping import Ping, PingError, Pong
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.resolve import Address, literal
from exporter.result import Result
from exporter.target import TargetError, instance, parse_web_target

FAMILIES = (
    gauge("probe_icmp_duration_seconds", "Duration of icmp request by phase"),
    gauge("probe_icmp_reply_hop_limit", "Replied packet hop limit (TTL for ipv4)"),
)
_TEXT = b"Sitemedic is looking whether you are up"[:28]
"""What is sent where the options say no size; 28 bytes, as blackbox_exporter sends."""
_NO_ROUTE_HERE = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ICMPFacts(NamedTuple):
    """What only an ICMP probe knows."""

    hop_limit: int | None = None


class ICMPOptions(Options):
    """What the icmp prober sends, under blackbox_exporter's key names."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    preferred_ip_protocol: Literal["ip4", "ip6"] = "ip6"
    """The protocol to use where the name has addresses of both."""
    ip_protocol_fallback: bool = True
    """Use the other protocol where the preferred one cannot be."""
    source_ip_address: str = ""
    """The own address to ping from."""
    payload_size: int = Field(default=0, ge=0, le=65_507)
    """Bytes to send; 0: 28."""
    dont_fragment: bool = False
    """Forbid routers to take the packet apart; IPv4 only, in IPv6 none ever does."""
    ttl: int = Field(default=0, ge=0, le=255)
    """Routers that the packet may pass; 0: as many as the system says, 64."""


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Ping one host once and fill the reading in. Raises TargetError, ResolveError."""
    reading.facts = ICMPFacts()
    host = parse_ping_target(attempt.target)
    addresses = await addresses_of(host, attempt.options, attempt, reading)
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        reading.address = address.text
        try:
            pong = await _pinged(attempt, reading, address)
        except PingError as error:
            if left and error.number in _NO_ROUTE_HERE:
                continue
            reading.fail(error.reason, error.detail)
            return
        reading.processing = pong.seconds
        reading.facts = ICMPFacts(pong.hop_limit)
        return


async def _pinged(attempt: Attempt, reading: Reading, address: Address) -> Pong:
    options: ICMPOptions = attempt.options
    size = options.payload_size
    began = time.monotonic()
    with Ping(address, _TEXT[:size].ljust(size, b"\0") if size else _TEXT, options.source_ip_address) as ping:
        if options.ttl:
            ping.set_hop_limit(options.ttl)
        if options.dont_fragment:
            ping.forbid_fragments()
        reading.connect = time.monotonic() - began
        if attempt.log:
            attempt.log.add("Pinging", to=address.text, socket="raw" if ping.raw else "ping")
        return await ping.reply(attempt.deadline)


def parse_ping_target(target: str) -> str:
    """Read a host or an address, or `icmp://host`. Raises TargetError."""
    scheme, separator, rest = target.rpartition("://")
    host = rest.removesuffix("/") if separator else rest
    shown = instance(target)
    if separator and scheme.lower() != "icmp":
        raise TargetError(f"{shown!r} must be a host, an address or icmp://host")
    if literal(host) is not None:
        return host
    found = parse_web_target(f"http://{host}")
    if found.path not in ("", "/") or found.username is not None or found.port != 80 or host.endswith(":80"):
        raise TargetError(f"{shown!r} must be a host, an address or icmp://host, nothing more")
    return found.host


def lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    facts, phases = result.facts, result.phases
    assert isinstance(facts, ICMPFacts)
    phase = f'probe_icmp_duration_seconds{labels.head}phase="'
    durations = (
        f'{phase}resolve"}} {phases.resolve:.6f}\n{phase}setup"}} {phases.connect:.6f}\n'
        f'{phase}rtt"}} {phases.processing:.6f}\n'
    )
    hops = facts.hop_limit
    return (
        durations,
        f"probe_icmp_reply_hop_limit{labels.plain} {hops}\n" if hops is not None else "",
    )


def _place(target: str) -> Place:
    return Place(parse_ping_target(target), 0)


ICMP = Prober(
    "icmp",
    ICMPOptions,
    probe,
    schemes=("icmp",),
    place=_place,
    module="icmp",
    families=FAMILIES,
    lines=lines,
)
