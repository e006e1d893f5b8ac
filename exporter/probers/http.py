"""The http prober: requests, redirects, answers.

Redirects are followed here, one transfer a hop, since libcurl's times are sums over a chain that it
follows itself. Cookies stay in the handle between the hops and are forgotten with the probe.
"""

import time
from collections.abc import Sequence
from typing import Any

import pycurl

from exporter.engine import Ending
from exporter.probers.addresses import addresses_of
from exporter.probers.http_checks import Headers, judge
from exporter.probers.http_lines import FAMILIES, http_lines
from exporter.probers.http_options import HTTPOptions
from exporter.probers.http_request import Hop, Plan, Plans, is_renamed, settings_of
from exporter.probers.oauth2 import OAuth2Error, authorization, forget
from exporter.probers.prober import Attempt, Place, ProbeLog, Prober, Reading
from exporter.probers.proxies import proxy_of
from exporter.probers.tls import Handshake, configure_tls
from exporter.reason import Reason
from exporter.resolve import Address
from exporter.result import HTTPFacts
from exporter.target import TargetError, WebTarget, parse_web_target
from exporter.transfer import (
    add_phases,
    configure,
    connect_to,
    failure,
    final_status,
    is_unreachable_from_here,
)

MOST_REDIRECTS = 10
KEPT_FOR_PATTERNS = 1 << 20
"""Bytes of a body that patterns see where no body_size_limit says otherwise."""
MOST_UNPACKED = 32 << 20
"""Bytes that a body may unpack to where no larger body_size_limit is set: a kilobyte can hold a megabyte of
zeros, and every probe waits while libcurl unpacks it."""

_UNAUTHORIZED = 401
_ENDS_OF_HEAD = {b"\r\n", b"\n"}
_REDIRECTS = {301, 302, 303, 307, 308}
_VERSIONS = {1: 1.0, 2: 1.1, 3: 2.0, 30: 3.0}
_NOTHING = HTTPFacts()
_NOTHING_OF_CEL = HTTPFacts(failed_due_to_cel=False)
_BY_PROXY = (None,)
_PLANS = Plans()


class Answer:
    """What comes back on one hop; takes the pieces as libcurl reads them."""

    __slots__ = ("body", "head", "headers", "limit", "most", "size")

    def __init__(self, options: HTTPOptions) -> None:
        self.most = options.body_size_limit or KEPT_FOR_PATTERNS
        unpacks = options.compression not in ("", "identity")
        self.limit = max(MOST_UNPACKED, options.body_size_limit or 0) if unpacks else None
        self.headers: Headers = []
        self.head: set[bytes] = set()
        """Lines of the headers, where nobody looks at them but for the one that ends them."""
        self.body = bytearray()
        self.size = 0

    def take_body(self, piece: bytes) -> int:
        """Count a piece of the body, and keep it while there is room; returns 0 to take no more."""
        room = self.most - self.size
        self.size += len(piece)
        if room > 0:
            self.body += piece[:room]
        return len(piece) if self.limit is None or self.size <= self.limit else 0

    @property
    def has_whole_head(self) -> bool:
        """Say whether the headers have come to their end: libcurl takes them also where they were cut off."""
        return not self.head.isdisjoint(_ENDS_OF_HEAD)

    def take_header(self, line: bytes) -> None:
        """Keep one header line; a new status line (after 100, after a proxy) forgets those before it."""
        if line in _ENDS_OF_HEAD:
            self.head.add(line)
        if line.startswith(b"HTTP/"):
            self.headers.clear()
            return
        name, colon, value = line.partition(b":")
        if colon:
            self.headers.append((name.decode("latin-1").strip().lower(), value.strip()))


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Probe one URL and fill the reading in. Raises TargetError, ResolveError, FileError."""
    reading.facts = _NOTHING_OF_CEL if attempt.options.has_cel else _NOTHING
    plan = _PLANS.get(attempt.target, attempt.options, attempt.hostname)
    if attempt.options.oauth2 is not None:
        try:
            header = await authorization(attempt, attempt.options.oauth2)
        except OAuth2Error as error:
            reading.fail(Reason.ERROR, str(error))
            return
        plan = plan.authorized(header)
    hop = plan.first
    curl = attempt.engine.take()
    try:
        for redirects in range(MOST_REDIRECTS + 1):
            led_to = await _take_hop(attempt, reading, plan, hop, curl, redirects)
            if led_to is None:
                if reading.facts.status_code == _UNAUTHORIZED and attempt.options.oauth2 is not None:
                    forget(attempt.options.oauth2)
                return
            status = reading.facts.status_code
            if attempt.log:
                attempt.log.add("Redirected", status=status, to=led_to.url.partition("?")[0])
            hop = hop.led_to(led_to, status)
            curl.reset()  # cookies stay
        reading.fail(Reason.STATUS, f"redirected more than {MOST_REDIRECTS} times")
    finally:
        attempt.engine.give_back(curl)


async def _take_hop(
    attempt: Attempt, reading: Reading, plan: Plan, hop: Hop, curl: Any, redirects: int
) -> WebTarget | None:
    """Make one request; return where it leads, or None when its answer is the last one, judged."""
    options = plan.options
    secure = hop.web.scheme == "https"
    answer = Answer(options)
    ending, handshake = await _perform(attempt, reading, plan, hop, curl, answer)
    add_phases(reading, curl, well=ending.code == 0, secure=secure)
    facts = reading.facts = _facts(curl, answer, options, secure, redirects)
    if handshake is not None:
        reading.tls = handshake.facts(curl) or reading.tls
    if attempt.log:
        _note(attempt.log, hop, facts, ending)
    if ending.code:
        reading.fail(*failure(curl, ending, secure=secure, proxied=bool(proxy_of(options, hop.web))))
        return None
    if not answer.has_whole_head:
        reading.fail(
            Reason.RESET, f"answered {facts.status_code}, but the connection was closed in the headers"
        )
        return None
    where = curl.getinfo_raw(pycurl.REDIRECT_URL) if facts.status_code in _REDIRECTS else None
    if where:
        facts = reading.facts = facts._replace(redirects=redirects + 1)
        if options.follows:
            return _redirected(where, reading, facts)
    _judge(options, reading, facts, answer)
    return None


async def _perform(
    attempt: Attempt, reading: Reading, plan: Plan, hop: Hop, curl: Any, answer: Answer
) -> tuple[Ending, Handshake | None]:
    """Run one hop's transfer, to the other protocol's address when this machine cannot reach the first."""
    addresses = await _addresses(attempt, reading, plan, hop.web)
    for place, address in enumerate(addresses, 1):
        configure(curl, settings_of(plan, hop), attempt.deadline - time.monotonic())
        if plan.wants_body:
            curl.setopt(pycurl.WRITEFUNCTION, answer.take_body)
        curl.setopt(pycurl.HEADERFUNCTION, answer.take_header if plan.wants_headers else answer.head.add)
        if address is not None and (address.text != hop.web.host or is_renamed(plan, hop.web)):
            curl.setopt(pycurl.CONNECT_TO, connect_to(address, hop.web.port))
        handshake = None
        if hop.web.scheme == "https":
            handshake = configure_tls(curl, plan.options.tls_config)
        ending = await attempt.engine.perform(curl)
        reading.address = address.text if address else curl.getinfo(pycurl.PRIMARY_IP) or None
        if place == len(addresses) or not is_unreachable_from_here(curl, ending, address):
            break
        curl.reset()
    return ending, handshake


async def _addresses(
    attempt: Attempt, reading: Reading, plan: Plan, web: WebTarget
) -> Sequence[Address | None]:
    """Return the addresses to try; None: the proxy resolves."""
    if proxy_of(plan.options, web):
        return _BY_PROXY
    host = plan.first.web.host if plan.is_home(web) else web.host
    return await addresses_of(host, plan.options, attempt, reading, web.port)


def _facts(curl: Any, answer: Answer, options: HTTPOptions, secure: bool, redirects: int) -> HTTPFacts:
    getinfo = curl.getinfo
    status = final_status(curl)
    if not status:
        return HTTPFacts(redirects=redirects, failed_due_to_cel=False if options.has_cel else None)
    modified = getinfo(pycurl.INFO_FILETIME)
    return HTTPFacts(
        status_code=status,
        http_version=_VERSIONS.get(getinfo(pycurl.INFO_HTTP_VERSION), 0.0),
        redirects=redirects,
        ssl=secure,
        content_length=int(getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T)),
        uncompressed_body_length=answer.size if options.compression else int(getinfo(pycurl.SIZE_DOWNLOAD_T)),
        last_modified=float(modified) if modified > 0 else None,  # 0 also for what is no date
        failed_due_to_cel=False if options.has_cel else None,
    )


def _redirected(where: bytes, reading: Reading, facts: HTTPFacts) -> WebTarget | None:
    try:
        return parse_web_target(where.decode(errors="replace"))
    except TargetError as error:
        reading.fail(Reason.STATUS, f"answered {facts.status_code}, a redirect that leads nowhere: {error}")
        return None


def _judge(options: HTTPOptions, reading: Reading, facts: HTTPFacts, answer: Answer) -> None:
    whole = answer.size <= answer.most
    verdict = judge(
        options,
        facts.status_code,
        facts.http_version,
        secure=facts.ssl,
        headers=answer.headers,
        body=bytes(answer.body),
        whole=whole,
    )
    if verdict is not None:
        reading.fail(verdict.reason, verdict.detail)
        if verdict.due_to_regex:
            facts = facts._replace(failed_due_to_regex=True)
        if verdict.due_to_cel:
            facts = facts._replace(failed_due_to_cel=True)
        reading.facts = facts


def _note(log: ProbeLog, hop: Hop, facts: HTTPFacts, ending: Ending) -> None:
    log.add(
        "Made an HTTP request",
        method=hop.method,
        url=hop.web.url.partition("?")[0],
        status=facts.status_code,
        version=facts.http_version,
        body_bytes=facts.uncompressed_body_length,
        curl_code=ending.code,
    )


def _place(target: str) -> Place:
    web = parse_web_target(target)
    return Place(web.host, web.port, web.scheme, web.path)


HTTP = Prober(
    "http",
    HTTPOptions,
    probe,
    HTTPOptions.complaints,
    schemes=("http", "https"),
    place=_place,
    module="http_2xx",
    families=FAMILIES,
    lines=http_lines,
)
