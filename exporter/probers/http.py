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
from exporter.probers.http_answer import Answer
from exporter.probers.http_checks import judge
from exporter.probers.http_lines import FAMILIES, http_lines
from exporter.probers.http_options import HTTPOptions
from exporter.probers.http_plan import Hop, Plan, Plans, nothing_of
from exporter.probers.http_request import is_renamed, settings_of
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

_UNAUTHORIZED = 401
_REDIRECTS = {301, 302, 303, 307, 308}
_VERSIONS = {1: 1.0, 2: 1.1, 3: 2.0, 30: 3.0}
_BY_PROXY = (None,)
_PLANS = Plans()


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Probe one URL and fill the reading in. Raises TargetError, ResolveError, FileError."""
    options = attempt.options
    try:
        plan = _PLANS.get(attempt.target, options, attempt.hostname)
    except TargetError:
        reading.facts = nothing_of(options)
        raise
    reading.facts = plan.nothing
    if plan.oauth2 is not None:
        try:
            header = await authorization(attempt, plan.oauth2)
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
                if reading.facts.status_code == _UNAUTHORIZED and plan.oauth2 is not None:
                    forget(plan.oauth2)
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
    secure = hop.web.scheme == "https"
    answer = Answer(plan.room)
    ending, handshake = await _perform(attempt, reading, plan, hop, curl, answer)
    add_phases(reading, curl, well=ending.code == 0, secure=secure)
    facts = reading.facts = _facts(curl, answer, plan, secure, redirects)
    if handshake is not None:
        reading.tls = handshake.facts(curl) or reading.tls
    if attempt.log:
        _note(attempt.log, hop, facts, ending)
    if ending.code:
        reading.fail(*failure(curl, ending, secure=secure, proxied=bool(proxy_of(plan.options, hop.web))))
        return None
    if not answer.has_whole_head:
        reading.fail(
            Reason.RESET, f"answered {facts.status_code}, but the connection was closed in the headers"
        )
        return None
    where = curl.getinfo_raw(pycurl.REDIRECT_URL) if facts.status_code in _REDIRECTS else None
    if where:
        facts = reading.facts = facts._replace(redirects=redirects + 1)
        if plan.follows:
            return _redirected(where, reading, facts)
    if plan.asks_for_more or not 200 <= facts.status_code < 300:
        _judge(plan.options, reading, facts, answer)
    return None


async def _perform(
    attempt: Attempt, reading: Reading, plan: Plan, hop: Hop, curl: Any, answer: Answer
) -> tuple[Ending, Handshake | None]:
    """Run one hop's transfer, to the other protocol's address when this machine cannot reach the first."""
    if hop is plan.first and plan.address is not None and attempt.barred is None:
        addresses: Sequence[Address | None] = (plan.address,)
    else:
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


def _facts(curl: Any, answer: Answer, plan: Plan, secure: bool, redirects: int) -> HTTPFacts:
    status, due_to_cel = final_status(curl), plan.nothing.failed_due_to_cel
    if not status:
        return plan.nothing._replace(redirects=redirects)
    getinfo = curl.getinfo
    modified = getinfo(pycurl.INFO_FILETIME)
    return HTTPFacts(
        status,
        _VERSIONS.get(getinfo(pycurl.INFO_HTTP_VERSION), 0.0),
        redirects,
        secure,
        int(getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T)),
        answer.size if plan.unpacks else int(getinfo(pycurl.SIZE_DOWNLOAD_T)),
        float(modified) if modified > 0 else None,  # 0 also for what is no date
        False,
        due_to_cel,
    )


def _redirected(where: bytes, reading: Reading, facts: HTTPFacts) -> WebTarget | None:
    try:
        return parse_web_target(where.decode(errors="replace"))
    except TargetError as error:
        reading.fail(Reason.STATUS, f"answered {facts.status_code}, a redirect that leads nowhere: {error}")
        return None


def _judge(options: HTTPOptions, reading: Reading, facts: HTTPFacts, answer: Answer) -> None:
    verdict = judge(
        options,
        facts.status_code,
        facts.http_version,
        secure=facts.ssl,
        headers=answer.headers,
        body=bytes(answer.body),
        whole=answer.is_whole,
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
