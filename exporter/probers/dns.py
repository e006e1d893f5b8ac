"""The dns prober: ask one name server for one name, over UDP, TCP or TLS, and judge its answer."""

import asyncio
import secrets
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from exporter.probers.addresses import addresses_of
from exporter.probers.dns_lines import FAMILIES, DNSFacts, dns_lines
from exporter.probers.dns_options import DNSOptions, RRValidator
from exporter.probers.prober import Attempt, Place, Prober, Reading
from exporter.probers.stream import Stream, StreamError
from exporter.reason import Reason
from exporter.resolve import Address, literal
from exporter.target import TargetError, instance

_PLAIN_PORT, _TLS_PORT = 53, 853
_LONGEST_DATAGRAM = 65_535
_ANYTHING = RRValidator()


class Question(NamedTuple):
    """Whom to ask for what."""

    host: str
    port: int
    name: str
    type: str


async def probe(attempt: Attempt, reading: Reading) -> None:
    """Ask one question and fill the reading in. Raises TargetError, ResolveError, FileError."""
    options: DNSOptions = attempt.options
    reading.facts = DNSFacts()
    question = parse_question(attempt.target, options)
    query, form = _query(question.name, question.type, options.query_class, options.recursion_desired)
    number = secrets.token_bytes(2)
    addresses = await addresses_of(question.host, options, attempt, reading)
    reading.address = addresses[0].text
    began = time.monotonic()
    try:
        wire = await _asked(attempt, reading, question, addresses[0], number + form[2:])
    except StreamError as error:
        reading.fail(error.reason, error.detail)
        return
    finally:
        reading.processing += time.monotonic() - began - reading.connect - reading.tls_time
    if attempt.log:
        attempt.log.add("Answered", by=reading.address, port=question.port, bytes=len(wire))
    if wire[:2] != number:
        reading.fail(Reason.PROTOCOL, "the answer bears another number")
        return
    _judge(options, reading, query, form[:2] + wire[2:])


def parse_question(target: str, options: DNSOptions) -> Question:
    """Read `host`, `host:port` or `dns://host:port/name?type=A`. Raises TargetError."""
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() != "dns":
        raise _misspelt(target)
    bare = literal(target)
    try:
        url = urlsplit(
            f"//[{target}]" if bare and bare.protocol == 6 else f"//{rest if separator else target}"
        )
        host, port = url.hostname, url.port
    except ValueError as error:
        raise _misspelt(target) from error
    if not host or url.username is not None:
        raise _misspelt(target)
    name = unquote(url.path.strip("/")) or options.query_name
    if not name:
        raise TargetError(
            f"{instance(target)!r} names nothing to ask for: dns://host/name, or set query_name"
        )
    kind = parse_qs(url.query).get("type", [options.query_type])[0]
    standard = _TLS_PORT if options.dns_over_tls else _PLAIN_PORT
    return Question(host, port or standard, name, kind.upper())


def _misspelt(target: str) -> TargetError:
    return TargetError(f"{instance(target)!r} must be a name server, host:port or dns://host/name?type=A")


@lru_cache(maxsize=20_000)
def _query(name: str, kind: str, of_class: str, recursive: bool) -> tuple[dns.message.QueryMessage, bytes]:
    """Return a question, also as it is sent; each probe gives it a number of its own. Raises TargetError."""
    try:
        query = dns.message.make_query(name, kind, of_class)
    except (dns.exception.DNSException, ValueError) as error:
        raise TargetError(f"{name!r} {kind} cannot be asked for ({error})") from error
    if not recursive:
        query.flags &= ~dns.flags.RD
    return query, query.to_wire()


async def _asked(
    attempt: Attempt, reading: Reading, question: Question, address: Address, wire: bytes
) -> bytes:
    options: DNSOptions = attempt.options
    if options.transport_protocol == "udp":
        return await _over_udp(attempt, question.port, address, wire)
    began = time.monotonic()
    async with await _connected(attempt, question, address) as stream:
        reading.connect = time.monotonic() - began
        if options.dns_over_tls:
            await _start_tls(stream, attempt, reading, question, address)
        await stream.send(struct.pack("!H", len(wire)) + wire)
        (length,) = struct.unpack("!H", await stream.exactly(2))
        return await stream.exactly(length)


async def _connected(attempt: Attempt, question: Question, address: Address) -> Stream:
    return await Stream.open(address, question.port, attempt.deadline, attempt.options.source_ip_address)


async def _start_tls(
    stream: Stream, attempt: Attempt, reading: Reading, question: Question, address: Address
) -> None:
    """Begin TLS; a certificate that is refused is looked at once more, for OpenSSL has forgotten it."""
    config, name = attempt.options.tls_config, attempt.hostname or question.host
    began = time.monotonic()
    try:
        reading.tls = await stream.start_tls(config, name)
    except StreamError as error:
        if error.reason is Reason.CERTIFICATE:
            trusting = config.model_copy(update={"insecure_skip_verify": True})
            with suppress(StreamError):
                async with await _connected(attempt, question, address) as another:
                    reading.tls = await another.start_tls(trusting, name)
        raise
    finally:
        reading.tls_time = time.monotonic() - began


async def _over_udp(attempt: Attempt, port: int, address: Address, wire: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    source = attempt.options.source_ip_address
    family = socket.AF_INET6 if address.protocol == 6 else socket.AF_INET
    try:
        async with asyncio.timeout(max(0.001, attempt.deadline - time.monotonic())):
            # A socket of our own, and no endpoint: one that a probe is cancelled in the making of stays open.
            with socket.socket(family, socket.SOCK_DGRAM) as asking:
                asking.setblocking(False)
                if source:
                    asking.bind((source, 0))
                asking.connect((address.text, port))
                await loop.sock_sendall(asking, wire)
                while True:
                    answer = await loop.sock_recv(asking, _LONGEST_DATAGRAM)
                    if answer[:2] == wire[:2]:
                        return answer
                    await asyncio.sleep(0)  # somebody else's, or forged; there may be many
    except TimeoutError as error:
        raise StreamError(Reason.TIMEOUT, "no answer in time") from error
    except ConnectionRefusedError as error:
        raise StreamError(Reason.REFUSED, "nothing listens there") from error
    except OSError as error:
        raise StreamError(Reason.TIMEOUT, f"no way there ({error.strerror or error})") from error


def _judge(options: DNSOptions, reading: Reading, query: dns.message.Message, wire: bytes) -> None:
    """Fill in what the answer says, and fail where that is not what was wanted."""
    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True, one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError) as error:
        reading.fail(Reason.PROTOCOL, f"the answer is not DNS ({type(error).__name__})")
        return
    if not query.is_response(answer):
        reading.fail(Reason.PROTOCOL, "the answer is to another question")
        return
    sections = (answer.answer, answer.authority, answer.additional)
    answers, authorities, additionals = map(len, sections)
    additionals += answer.opt is not None  # a record on the wire, and counted there by blackbox_exporter
    serial = _serial(answer.answer) if query.question[0].rdtype == dns.rdatatype.SOA else None
    reading.facts = DNSFacts(True, answers, authorities, additionals, serial)
    code = dns.rcode.to_text(answer.rcode())
    if code not in options.valid_rcodes:
        reading.fail(Reason.STATUS, f"answered {code}")
        return
    validators = (
        ("answer", options.validate_answer_rrs),
        ("authority", options.validate_authority_rrs),
        ("additional", options.validate_additional_rrs),
    )
    for (where, validator), section in zip(validators, sections, strict=True):
        if validator != _ANYTHING and (fault := _fault(validator, _records(section))):
            reading.fail(Reason.BODY, f"the {where} section {fault}")
            return


def _records(section: Sequence[dns.rrset.RRset]) -> list[bytes]:
    """Return a section's records as text, tab by tab as Go's library writes them."""
    found = []
    for rrset in section:
        head = f"{rrset.name}\t{rrset.ttl}\t{dns.rdataclass.to_text(rrset.rdclass)}"
        kind = dns.rdatatype.to_text(rrset.rdtype)
        found += [f"{head}\t{kind}\t{record.to_text(chunksize=0)}".encode() for record in rrset]
    return found


def _fault(validator: RRValidator, records: list[bytes]) -> str:
    """Say what is wrong with a section, empty where nothing is."""
    for pattern in validator.fail_if_matches_regexp:
        if any(pattern.found_in(record) for record in records):
            return f"matches {pattern.text!r}"
    for pattern in validator.fail_if_all_match_regexp:
        if records and all(pattern.found_in(record) for record in records):
            return f"matches {pattern.text!r} in all its records"
    for pattern in validator.fail_if_not_matches_regexp:
        if not records:
            return f"is empty, so that nothing matches {pattern.text!r}"
        if not all(pattern.found_in(record) for record in records):
            return f"has a record that does not match {pattern.text!r}"
    wanted = validator.fail_if_none_matches_regexp
    if wanted and not any(pattern.found_in(record) for pattern in wanted for record in records):
        return f"has no record that matches {' or '.join(repr(pattern.text) for pattern in wanted)}"
    return ""


def _serial(section: Sequence[dns.rrset.RRset]) -> int:
    """Return the serial of the last SOA, 0 where there is none, as blackbox_exporter has it."""
    return next((int(one[0].serial) for one in reversed(section) if one.rdtype == dns.rdatatype.SOA), 0)


def _place(target: str) -> Place:
    question = parse_question(target, DNSOptions(query_name="."))
    return Place(question.host, question.port)


DNS = Prober(
    "dns",
    DNSOptions,
    probe,
    DNSOptions.complaints,
    schemes=("dns",),
    place=_place,
    module="dns",
    families=FAMILIES,
    lines=dns_lines,
)
