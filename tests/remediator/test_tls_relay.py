"""TLS before waitress: nobody who is silent, slow or gone keeps others out, and every byte arrives."""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from core.web.live import LiveWebConfig
from remediator.web.handed import HandedServer
from remediator.web.tls_relay import Limits, TLSRelay
from tests.exporter.test_web_security import TLS, certify
from tests.waiting import until

BIG = bytes(range(256)) * 16384
"""4 MiB: far more than all buffers on the way."""
PATIENT = Limits(handshake=60.0)
MUTUAL = {**TLS, "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.pem"}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    who = f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']} {environ['REMOTE_PORT']}".encode()
    body = BIG if environ["PATH_INFO"] == "/big" else who
    start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
    return [body]


@dataclass
class Front:
    """A relay, and clients of it."""

    folder: Path
    relay: TLSRelay
    address: tuple[str, int]
    authority: trustme.CA
    handed: list[socket.socket] = field(default_factory=list)

    def context(self, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
        found = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if client is not None:
            client.configure_cert(found)
        return found

    def tcp(self) -> socket.socket:
        return socket.create_connection(self.address, 30)

    def tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        plain = self.tcp()
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def get(
        self, path: str = "/", context: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[int, bytes]:
        with self.tls(context) as connection:
            return asked(connection, path, **headers)


def asked(connection: ssl.SSLSocket, path: str = "/", **headers: str) -> tuple[int, bytes]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


@contextmanager
def front(
    folder: Path,
    limits: Limits = PATIENT,
    tls: dict[str, Any] = TLS,
    by_hand: bool = False,
    **adjustments: Any,
) -> Iterator[Front]:
    """Stand before waitress; `by_hand`: before a test that takes what is handed over itself."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certify(authority, folder)
    (folder / "web.yml").write_text(yaml.safe_dump({"tls_server_config": tls}))
    web = LiveWebConfig(folder / "web.yml")
    listening = socket.create_server(("127.0.0.1", 0))
    server = HandedServer(
        application, url_scheme="https", clear_untrusted_proxy_headers=True, connection_limit=200,
        asyncore_use_poll=True, **adjustments,
    )  # fmt: skip
    handed: list[socket.socket] = []
    hand_over = (lambda one, _address: handed.append(one)) if by_hand else server.hand_over
    relay = TLSRelay(listening, web, hand_over, limits)
    thread = threading.Thread(target=server.run, daemon=True)
    address = listening.getsockname()
    thread.start()
    relay.start()
    try:
        yield Front(folder, relay, address, authority, handed)
    finally:
        relay.stop()
        server.close()
        thread.join(20)
        server.task_dispatcher.shutdown()


@contextmanager
def silent(front: Front, number: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(front.tcp()) for _ in range(number)]


def test_thirty_clients_that_say_nothing_hold_nobody_up(tmp_path: Path) -> None:
    with front(tmp_path) as running, silent(running, 30) as waiting:
        for _ in range(3):
            assert running.get()[0] == 200
        for one in waiting:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):  # it is still waited for
                one.recv(1)


def test_who_does_not_shake_hands_in_time_is_let_go(tmp_path: Path) -> None:
    with front(tmp_path, Limits(handshake=0.3)) as running, silent(running, 2) as waiting:
        assert [one.recv(1) for one in waiting] == [b"", b""]


def test_of_too_many_silent_clients_the_longest_goes(tmp_path: Path) -> None:
    with front(tmp_path, Limits(handshake=60.0, waiting=3)) as running, silent(running, 8) as waiting:
        assert [one.recv(1) for one in waiting[:5]] == [b""] * 5
        assert running.get()[0] == 200


def test_a_client_beyond_the_places_is_served_when_one_is_free(tmp_path: Path) -> None:
    with front(tmp_path, Limits(places=2)) as running:
        first, second = running.tls(), running.tls()
        with second, running.tls() as third:
            assert [asked(first)[0], asked(second)[0]] == [200, 200]
            third.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(1)
            third.settimeout(30)
            first.close()
            assert third.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_large_answer_comes_whole(tmp_path: Path, connection: str) -> None:
    with front(tmp_path) as running:
        assert running.get("/big", Connection=connection) == (200, BIG)


def test_who_takes_no_answer_is_let_go_and_holds_nobody_up(tmp_path: Path) -> None:
    with front(tmp_path, Limits(handshake=1.0, stall=1.0)) as running, running.tls() as lazy:
        lazy.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 8)
        assert running.get()[0] == 200
        until(lambda: not running.relay._served, 30, "the lazy one to be let go")


def test_a_slow_request_is_cut_by_waitress(tmp_path: Path) -> None:
    with front(tmp_path, channel_timeout=1, cleanup_interval=1) as running, running.tls() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert slow.recv(1) == b""


def test_the_address_is_the_clients_own_whatever_it_says(tmp_path: Path) -> None:
    claims = {
        "X-Forwarded-For": "198.51.100.9",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=198.51.100.9;proto=http",
    }
    with front(tmp_path) as running, running.tls() as client:
        host, port = client.getsockname()
        assert asked(client, **claims) == (200, f"https {host} {port}".encode())


def test_an_answer_that_was_given_before_all_was_read_arrives(tmp_path: Path) -> None:
    with front(tmp_path, by_hand=True) as running, running.tls() as client:
        until(lambda: running.handed, 20, "the connection")
        with running.handed[0] as server:
            server.shutdown(socket.SHUT_RD)
            client.sendall(b"what nobody reads")
            server.sendall(b"413 ")
            assert client.recv(4) == b"413 "
            client.sendall(b"more of it")
            server.sendall(b"too large")
        assert client.recv(9) == b"too large"
        assert client.recv(1) == b""


def test_a_client_that_is_gone_is_gone_for_the_server_too(tmp_path: Path) -> None:
    with front(tmp_path, by_hand=True) as running:
        with running.tls() as client:
            client.sendall(b"GET")
        until(lambda: running.handed, 20, "the connection")
        with running.handed[0] as server:
            server.settimeout(30)
            assert server.recv(10) == b"GET"
            assert server.recv(10) == b""
        until(lambda: not running.relay._served, 20, "the relay to forget it")


def test_what_is_no_tls_gets_no_answer(tmp_path: Path) -> None:
    with front(tmp_path) as running, running.tcp() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in plain.recv(1000)
        assert running.get()[0] == 200


def test_only_who_has_a_certificate_comes_in(tmp_path: Path) -> None:
    with front(tmp_path, tls={**MUTUAL, "min_version": "TLS12"}) as running:
        known, stranger = running.authority.issue_cert("me.example"), trustme.CA().issue_cert("me.example")
        assert running.get(context=running.context(known))[0] == 200
        for wrong in (None, stranger):
            with pytest.raises(OSError), running.tls(running.context(wrong)) as refused:
                asked(refused)


def test_a_certificate_of_a_name_that_is_not_listed_is_told_so(tmp_path: Path) -> None:
    with front(tmp_path, tls={**MUTUAL, "client_allowed_sans": ["me.example"]}) as running:
        for name, status in (("me.example", 200), ("you.example", 403)):
            found, body = running.get(context=running.context(running.authority.issue_cert(name)))
            assert (found, b"client_allowed_sans" in body) == (status, status == 403)


def test_an_older_tls_than_allowed_is_refused(tmp_path: Path) -> None:
    with front(tmp_path, tls={**TLS, "min_version": "TLS13"}) as running:
        old = running.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            running.tls(old)
        assert running.get()[0] == 200


def test_the_end_closes_every_connection(tmp_path: Path) -> None:
    with front(tmp_path) as running, silent(running, 3) as waiting, running.tls() as idle:
        assert asked(idle)[0] == 200
        running.relay.stop(30)
        assert [one.recv(1) for one in waiting] == [b""] * 3
        with contextlib.suppress(OSError):
            assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            running.tcp()
