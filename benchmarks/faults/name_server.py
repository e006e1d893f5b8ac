"""A name server that misbehaves as the first label of the name asks."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Answers = list[bytes | None]
"""What is sent for one question; None closes a connection."""


def _plain(query: dns.message.Message, *records: str, rcode: str = "NOERROR") -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    answer.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        answer.answer.append(dns.rrset.from_text(*record.split(" ", 4)))  # type: ignore[arg-type]
    return answer


def _numbered(wire: bytes, number: int) -> bytes:
    return struct.pack("!H", number) + wire[2:]


def _another(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("other.test", "A")
    other.id = query.id
    return _plain(other).to_wire()


def _truncated(query: dns.message.Message) -> bytes:
    answer = _plain(query, _good(query))
    answer.flags |= dns.flags.TC
    return answer.to_wire()


def _with_options(query: dns.message.Message) -> bytes:
    answer = _plain(query, _good(query))
    answer.use_edns(0, payload=1232)
    return answer.to_wire()


def _twice(query: dns.message.Message) -> bytes:
    wire = bytearray(_plain(query, _good(query)).to_wire())
    record = bytes(wire[len(query.to_wire()) :])
    wire[6:8] = struct.pack("!H", 2)
    return bytes(wire) + record


def _good(query: dns.message.Message) -> str:
    return f"{query.question[0].name} 300 IN A 192.0.2.9"


ODD: dict[str, Callable[[dns.message.Message], Answers]] = {
    "good": lambda query: [_plain(query, _good(query)).to_wire()],
    "silent": lambda _: [],
    "garbage": lambda query: [struct.pack("!H", query.id) + b"\xff" * 40],
    "short": lambda query: [struct.pack("!H", query.id)],
    "cut": lambda query: [_plain(query, _good(query)).to_wire()[:-3]],
    "numbered": lambda query: [_numbered(_plain(query, _good(query)).to_wire(), query.id ^ 1)],
    "forged": lambda query: [_numbered(b"\0" * 30, query.id ^ 1), _plain(query, _good(query)).to_wire()],
    "another": lambda query: [_another(query)],
    "itself": lambda query: [query.to_wire()],
    "truncated": lambda query: [_truncated(query)],
    "options": lambda query: [_with_options(query)],
    "twice": lambda query: [_twice(query)],
    "trailing": lambda query: [_plain(query, _good(query)).to_wire() + b"\0\0\0"],
    "closed": lambda _: [None],
    "refused": lambda query: [_plain(query, rcode="REFUSED").to_wire()],
    "servfail": lambda query: [_plain(query, rcode="SERVFAIL").to_wire()],
    "nxdomain": lambda query: [_plain(query, rcode="NXDOMAIN").to_wire()],
    "badvers": lambda query: [_plain(query, rcode="BADVERS").to_wire()],
}
"""Ways to answer, by the first label of the name that is asked for."""


def _answers(wire: bytes) -> Answers:
    query = dns.message.from_wire(wire)
    return ODD[query.question[0].name.labels[0].decode()](query)


class _OverUDP(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sending = self.request
        for answer in _answers(wire):
            if answer is not None:
                sending.sendto(answer, self.client_address)


class _OverTCP(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = self.rfile.read(2)
        if len(head) < 2:
            return
        wire = self.rfile.read(struct.unpack("!H", head)[0])
        for answer in _answers(wire):
            if answer is None:
                return
            self.wfile.write(struct.pack("!H", len(answer)) + answer)
        self.rfile.read(1)  # until the client goes


class _UDP(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TCP(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def odd_server() -> Iterator[int]:
    """Answer on UDP and TCP as the first label of the name says; give the port."""
    with ExitStack() as stack:
        over_tcp = stack.enter_context(_TCP(("127.0.0.1", 0), _OverTCP))
        port = over_tcp.server_address[1]
        over_udp = stack.enter_context(_UDP(("127.0.0.1", port), _OverUDP))
        for server in (over_tcp, over_udp):
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(server.shutdown)
        yield port
