"""The grpc prober: one health check (grpc.health.v1), spoken over libcurl's HTTP/2.

The check's two messages have one field each, so no gRPC library is needed, and phases, certificates and
reasons are those of every other transfer.
"""

import struct
import time
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import pycurl
from pydantic import ConfigDict, Field

from core.sites import Options
from exporter.families import gauge
from exporter.labels import Labels
from exporter.probers.addresses import addresses_of
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.probers.tls import TLSConfig, configure_tls
from exporter.reason import Reason
from exporter.resolve import Address
from exporter.result import Result
from exporter.target import TargetError, WebTarget, instance, parse_web_target
from exporter.transfer import ALWAYS, add_phases, configure, connect_to, failure, is_unreachable_from_here

FAMILIES = (
    gauge("probe_grpc_duration_seconds", "Duration of gRPC request by phase"),
    gauge("probe_grpc_ssl", "Indicates if SSL was used for the connection"),
    gauge("probe_grpc_status_code", "Response gRPC status code"),
    gauge("probe_grpc_healthcheck_response", "Response HealthCheck response"),
)
_PATH = "/grpc.health.v1.Health/Check"
_SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_OK, _UNKNOWN, _DEADLINE_EXCEEDED, _UNAVAILABLE = 0, 2, 4, 14
_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""gRPC's own table of what an HTTP status without a gRPC status means."""
_LARGEST = 1 << 16


class GRPCFacts(NamedTuple):
    """What only a gRPC probe knows."""

    status_code: int = 0
    ssl: bool = False
    serving: str = ""
    """What the health check said, empty where it did not."""
    asked: bool = False


class GRPCOptions(Options):
    """What the grpc prober asks, under blackbox_exporter's key names."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    service: str = ""
    """The service to ask the health of; empty: the server's."""
    preferred_ip_protocol: Literal["ip4", "ip6"] = "ip6"
    """The protocol to use where the name has addresses of both."""
    ip_protocol_fallback: bool = True
    """Use the other protocol where the preferred one cannot be."""
    tls: bool = False
    """Speak TLS; grpcs://host:port asks for it too."""
    tls_config: TLSConfig = TLSConfig()
    """TLS settings."""
    metadata: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Headers of the request, each with its values."""


class Answer:
    """What comes back; takes the pieces as libcurl reads them."""

    __slots__ = ("body", "headers")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()

    def take_header(self, line: bytes) -> None:
        """Keep a header or a trailer, which comes after the body."""
        name, colon, value = line.decode("latin-1").partition(":")
        if colon and len(self.headers) < 100:
            self.headers[name.strip().lower()] = value.strip()

    def take_body(self, piece: bytes) -> int:
        """Keep a piece of the body; one too large for a health check ends the transfer."""
        self.body += piece
        return len(piece) if len(self.body) <= _LARGEST else 0


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Ask one server for its health and fill the reading in. Raises TargetError, ResolveError."""
    options: GRPCOptions = attempt.options
    reading.facts = GRPCFacts()
    web, secure = parse_grpc_target(attempt.target, options)
    addresses = await addresses_of(web.host, options, attempt, reading)
    curl = attempt.engine.take()
    try:
        for address in addresses:
            answer = Answer()
            handshake = _configure(attempt, curl, web, address, answer) if secure else None
            if not secure:
                _configure(attempt, curl, web, address, answer)
            ending = await attempt.engine.perform(curl)
            if not is_unreachable_from_here(curl, ending, address):
                break
        reading.address = address.text
        add_phases(reading, curl, well=ending.code == 0, secure=secure)
        reading.tls = handshake.facts(curl) if handshake is not None else None
        if attempt.log:
            attempt.log.add("Asked for the health", to=address.text, port=web.port, curl_code=ending.code,
                            grpc_status=answer.headers.get("grpc-status"))  # fmt: skip
        if ending.code and "grpc-status" not in answer.headers:
            if len(answer.body) > _LARGEST:
                reading.fail(Reason.PROTOCOL, f"the answer is no health check's: more than {_LARGEST} bytes")
            reading.fail(*failure(curl, ending, secure=secure))
            late = reading.reason is Reason.TIMEOUT and ending.code == pycurl.E_OPERATION_TIMEDOUT
            reading.facts = GRPCFacts(_DEADLINE_EXCEEDED if late else _UNAVAILABLE, asked=True)
        else:
            _judge(reading, answer, int(curl.getinfo(pycurl.RESPONSE_CODE)), secure)
    finally:
        attempt.engine.give_back(curl)


def parse_grpc_target(target: str, options: GRPCOptions) -> tuple[WebTarget, bool]:
    """Read `host`, `host:port`, `grpc://host:port` or `grpcs://host:port`, and whether it means TLS.

    Raises TargetError.
    """
    scheme, separator, rest = target.rpartition("://")
    if separator and scheme.lower() not in ("grpc", "grpcs", "http", "https"):
        raise TargetError(f"{instance(target)!r} must be host:port, grpc://host:port or grpcs://host:port")
    secure = options.tls or scheme.lower() == "grpcs"
    web = parse_web_target(f"{'https' if secure else 'http'}://{rest}")
    if web.path.strip("/") or web.username is not None:
        raise TargetError(f"{instance(target)!r} must be a host and a port, nothing more")
    return web, secure


def _configure(attempt: Attempt, curl: Any, web: WebTarget, address: Address, answer: Answer) -> Any:
    options: GRPCOptions = attempt.options
    secure = web.scheme == "https"
    seconds = attempt.deadline - time.monotonic()
    name = (options.tls_config.server_name if secure else "") or attempt.hostname or web.host
    shown = f"[{name.replace('%', '%25')}]" if ":" in name else name
    headers = ["Content-Type: application/grpc", "TE: trailers", "Expect:", "Accept:",
               f"grpc-timeout: {max(1, int(seconds * 1000))}m"]  # fmt: skip
    headers += [f"{key}: {value}" for key, values in options.metadata.items() for value in values]
    curl.reset()
    configure(
        curl,
        (
            *ALWAYS,
            (pycurl.URL, f"{web.scheme}://{shown}:{web.port}{_PATH}"),
            (pycurl.CONNECT_TO, connect_to(address, web.port)),
            (pycurl.USERAGENT, "Sitemedic"),
            (pycurl.HTTPHEADER, headers),
            (pycurl.POSTFIELDS, _request(options.service)),
            (pycurl.HEADERFUNCTION, answer.take_header),
            (pycurl.WRITEFUNCTION, answer.take_body),
            (
                pycurl.HTTP_VERSION,
                pycurl.CURL_HTTP_VERSION_2TLS if secure else pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
            ),
        ),
        seconds,
    )
    return configure_tls(curl, options.tls_config) if secure else None


def _request(service: str) -> bytes:
    """Write a HealthCheckRequest in its frame: field 1, a string."""
    name = service.encode()
    message = b"" if not name else b"\x0a" + _varint(len(name)) + name
    return struct.pack("!BI", 0, len(message)) + message


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _judge(reading: Reading, answer: Answer, http_status: int, secure: bool) -> None:
    code = _code(answer, http_status)
    serving = _serving(bytes(answer.body)) if code == _OK else ""
    reading.facts = GRPCFacts(code, secure, serving, asked=True)
    if not answer.headers.get("content-type", "").startswith("application/grpc"):
        reading.fail(Reason.PROTOCOL, f"it does not speak gRPC (answered {http_status} of another kind)")
    elif code != _OK:
        name = _CODES[code] if code < len(_CODES) else str(code)
        said = unquote(answer.headers.get("grpc-message", ""))
        reading.fail(Reason.STATUS, f"answered {name}" + (f": {said}" if said else ""))
    elif not serving:
        reading.fail(Reason.PROTOCOL, "the answer is no health check's")
    elif serving != "SERVING":
        reading.fail(Reason.STATUS, f"says that it is {serving}")


def _code(answer: Answer, http_status: int) -> int:
    text = answer.headers.get("grpc-status", "")
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    return _OF_HTTP.get(http_status, _UNKNOWN)


def _serving(body: bytes) -> str:
    """Read a HealthCheckResponse in its frame: field 1, an enum; empty where it is none."""
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        return ""
    message = body[5:]
    if not message:
        return _SERVING[0]  # a field that is 0 is left out
    known = len(message) == 2 and message[0] == 0x08 and message[1] < len(_SERVING)
    return _SERVING[message[1]] if known else ""


def lines(result: Result, labels: Labels) -> tuple[str, ...]:
    """Return the lines of one result, in the order of `FAMILIES`."""
    facts, phases, of = result.facts, result.phases, labels.plain
    assert isinstance(facts, GRPCFacts)
    phase, health = (
        f'{family.name}{labels.head}{label}="'
        for family, label in ((FAMILIES[0], "phase"), (FAMILIES[3], "serving_status"))
    )
    check = phases.connect + phases.tls + phases.processing + phases.transfer
    said = "".join(f'{health}{status}"}} {int(status == facts.serving)}\n' for status in _SERVING)
    return (
        f'{phase}resolve"}} {phases.resolve:.6f}\n'
        + (f'{phase}check"}} {check:.6f}\n' if facts.asked else ""),
        f"probe_grpc_ssl{of} {int(facts.ssl)}\n",
        f"probe_grpc_status_code{of} {facts.status_code}\n",
        said if facts.asked else "",
    )


def _place(target: str) -> Place:
    web, _ = parse_grpc_target(target, GRPCOptions())
    return Place(web.host, web.port)


GRPC = Prober(
    "grpc",
    GRPCOptions,
    probe,
    schemes=("grpc", "grpcs"),
    place=_place,
    module="grpc",
    families=FAMILIES,
    lines=lines,
)
