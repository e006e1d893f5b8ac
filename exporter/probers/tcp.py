"""The tcp prober: connect, agree on TLS where that is asked for, and hold a dialog where there is one.

A plain connect is libcurl's, for it is the cheapest; a dialog is held on a stream of our own.
"""

import time
from typing import Any, Literal

import pycurl
from pydantic import ConfigDict

from core.sites import Options
from exporter.probers.addresses import addresses_of
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.probers.query_response import FAMILIES, Dialog, DialogFacts, QueryResponse, hold, lines
from exporter.probers.stream import Stream
from exporter.probers.tls import Handshake, TLSConfig, configure_tls
from exporter.resolve import Address
from exporter.target import HostTarget, parse_host_target
from exporter.transfer import ALWAYS, add_phases, configure, connect_to, failure, is_unreachable_from_here


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
    query_response: tuple[QueryResponse, ...] = ()
    """What is waited for and what is sent, step by step."""


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Connect to one host and port, and fill the reading in. Raises TargetError, ResolveError, FileError."""
    options: TCPOptions = attempt.options
    reading.facts = DialogFacts()
    target = parse_host_target(attempt.target)
    addresses = await addresses_of(target.host, options, attempt, reading)
    if options.query_response:
        await _speak(attempt, reading, target, addresses)
    else:
        await _connect(attempt, reading, target, addresses)


async def _connect(attempt: Attempt, reading: Reading, target: HostTarget, addresses: list[Address]) -> None:
    options: TCPOptions = attempt.options
    secure = options.tls or target.tls
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


async def _speak(attempt: Attempt, reading: Reading, target: HostTarget, addresses: list[Address]) -> None:
    options: TCPOptions = attempt.options
    name = attempt.hostname or target.host
    dialog = Dialog(options.query_response, options.tls or target.tls, options.tls_config, name)

    async def connect() -> Stream:
        stream, address = await Stream.open_first(
            addresses, target.port, attempt.deadline, options.source_ip_address
        )
        reading.address = address.text
        return stream

    reading.address = addresses[0].text
    await hold(dialog, connect, reading, attempt.log)


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
    schemes=("tcp", "tls"),
    place=_place,
    module="tcp_connect",
    families=FAMILIES,
    lines=lines,
)
