"""The tcp prober: connect, and agree on TLS where that is asked for."""

import time
from typing import Any, Literal, NamedTuple

import pycurl
from pydantic import ConfigDict, Field

from core.sites import Options
from exporter.probers.addresses import addresses_of
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.probers.tls import Handshake, TLSConfig, configure_tls
from exporter.resolve import Address
from exporter.target import HostTarget, parse_host_target
from exporter.transfer import ALWAYS, add_phases, configure, connect_to, failure, is_unreachable_from_here


class TCPFacts(NamedTuple):
    """What only a TCP probe knows."""

    failed_due_to_regex: bool = False


class TCPOptions(Options):
    """What the tcp prober does, under blackbox_exporter's key names."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    preferred_ip_protocol: Literal["ip4", "ip6"] = "ip6"
    """The protocol to use where the name has addresses of both."""
    ip_protocol_fallback: bool = True
    """Use the other protocol where the preferred one cannot be."""
    source_ip_address: str = ""
    """The own address to connect from."""
    tls: bool = False
    """Speak TLS on the connection; tls://host:port asks for it too."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings."""
    query_response: tuple[dict[str, Any], ...] = Field(default=())
    """Not built yet."""

    def complaints(self) -> list[tuple[str, str]]:
        """Say what of these options is not built yet, as (key, message)."""
        return [("query_response", "is not built yet")] if self.query_response else []


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Connect to one host and port, and fill the reading in. Raises TargetError, ResolveError."""
    options: TCPOptions = attempt.options
    reading.facts = TCPFacts()
    target = parse_host_target(attempt.target)
    secure = options.tls or target.tls
    addresses = await addresses_of(target.host, options, attempt, reading)
    curl = attempt.engine.take()
    try:
        for address in addresses:
            handshake = _configure(attempt, curl, options, target, address)
            ending = await attempt.engine.perform(curl)
            if not is_unreachable_from_here(curl, ending, address):
                break
        reading.address = address.text
        add_phases(reading, curl, well=ending.code == 0, secure=secure)
        if handshake is not None:
            reading.tls = handshake.facts(curl)
        if ending.code:
            reading.fail(*failure(curl, ending, secure=secure))
        if attempt.log:
            attempt.log.add("Connected" if not ending.code else "Did not connect", to=address.text,
                            port=target.port, curl_code=ending.code)  # fmt: skip
    finally:
        attempt.engine.give_back(curl)


def _configure(
    attempt: Attempt, curl: Any, options: TCPOptions, target: HostTarget, address: Address
) -> Handshake | None:
    secure = options.tls or target.tls
    name = (options.tls_config.server_name or attempt.hostname or target.host) if secure else target.host
    shown = f"[{name.replace('%', '%25')}]" if ":" in name else name
    curl.reset()
    # CONNECT_ONLY ends a transfer once its connection stands, before any HTTP.
    url = f"{'https' if secure else 'http'}://{shown}:{target.port}/"
    seconds = attempt.deadline - time.monotonic()
    configure(curl, (*ALWAYS, (pycurl.URL, url), (pycurl.CONNECT_ONLY, 1)), seconds)
    if name != address.text:
        curl.setopt(pycurl.CONNECT_TO, connect_to(address, target.port))
    if options.source_ip_address:
        curl.setopt(pycurl.INTERFACE, f"host!{options.source_ip_address}")
    if not secure:
        return None
    curl.setopt(pycurl.SSL_ENABLE_ALPN, 0)
    return configure_tls(curl, options.tls_config)


def _place(target: str) -> Place:
    host = parse_host_target(target)
    return Place(host.host, host.port)


TCP = Prober(
    "tcp",
    TCPOptions,
    probe,
    TCPOptions.complaints,
    schemes=("tcp", "tls"),
    place=_place,
    module="tcp_connect",
)
