"""Name servers for tests: a real one (nsd) with a zone, and one that misbehaves as the name asks."""

import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import trustme

from tests.ports import free_port
from tests.waiting import until

SERIAL = 2026112101
KEY = "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
DIGEST = "e8b54e0b4baa815b06d3462d65fbc7c0cf556eccf9f5303ebfbb77d022f834c0"
ZONE = f"""$ORIGIN shop.test.
$TTL 300
@ IN SOA ns hostmaster ({SERIAL} 7200 900 1209600 300)
@ IN NS ns
@ IN MX 10 mail
@ IN MX 20 mail2
@ IN TXT "v=spf1 -all" "second \\"quoted\\" part"
@ IN CAA 0 issue "letsencrypt.org"
@ IN DNSKEY 257 3 13 {KEY}
@ IN TLSA 3 1 1 {DIGEST}
@ IN DS 2371 13 2 1f987cc6583e92df0890718c42a0b1e5c4ff12f9c0f4bd2f0d4b7a9ebc4f3ecd
ns IN A 127.0.0.1
mail IN A 192.0.2.1
mail IN AAAA 2001:db8::1
mail2 60 IN A 192.0.2.2
www IN CNAME mail
many IN A 192.0.2.3
many IN A 192.0.2.4
many IN A 192.0.2.5
_sip._tcp IN SRV 1 2 5060 mail
odd IN TYPE65280 \\# 4 0a000001
svc IN HTTPS 1 . alpn=h2
"""


@contextmanager
def nsd(folder: Path, authority: trustme.CA) -> Iterator[tuple[int, int]]:
    """Run nsd with the zone shop.test; give its port (UDP and TCP) and that for DNS over TLS."""
    port, secure = free_port(), free_port()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(folder / "nsd.key"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(folder / "nsd.pem"), append=True)
    (folder / "shop.test.zone").write_text(ZONE)
    (folder / "nsd.conf").write_text(
        f"""server:
  ip-address: 127.0.0.1@{port}
  ip-address: 127.0.0.1@{secure}
  ip-address: ::1@{port}
  tls-port: {secure}
  tls-service-key: {folder}/nsd.key
  tls-service-pem: {folder}/nsd.pem
  username: ""
  zonesdir: {folder}
  zonelistfile: {folder}/zone.list
  xfrdfile: {folder}/xfrd.state
  xfrdir: {folder}
  pidfile: {folder}/nsd.pid
  logfile: {folder}/nsd.log
  refuse-any: no
remote-control:
  control-enable: no
zone:
  name: shop.test
  zonefile: shop.test.zone
"""
    )
    process = subprocess.Popen(["nsd", "-d", "-c", str(folder / "nsd.conf")])
    try:
        until(lambda: _listens(port) and _listens(secure), 10, "nsd")
        yield port, secure
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probing:
        return probing.connect_ex(("127.0.0.1", port)) == 0


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
