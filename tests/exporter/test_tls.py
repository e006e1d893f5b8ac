import asyncio
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from exporter.module import Module
from exporter.probe import Probers
from exporter.reason import Kind, Reason
from exporter.result import Result
from tests.exporter.certificates import context, ends_in
from tests.exporter.loopback import Handler, always, answer, http_module, probed, run, serving, tcp_module


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def probe_tls(
    made: ssl.SSLContext,
    module: Module,
    handler: Handler | None = None,
    target: str = "https://127.0.0.1:{}/",
    **named: object,
) -> Result:
    async def test() -> Result:
        async with serving(handler or always(answer()), tls=made, reads=module.prober == "http") as port:
            return await probed(target.format(port), module, **named)

    return run(test())


@pytest.mark.parametrize("prober", ["http", "tcp"])
def test_a_trusted_certificate_shows_its_expiry_and_the_handshakes_facts(
    prober: str, authority: trustme.CA, bundle: str
):
    tls_config = {"ca_file": bundle}
    module = http_module(tls_config=tls_config) if prober == "http" else tcp_module(tls_config=tls_config)
    target = "https://127.0.0.1:{}/" if prober == "http" else "tls://127.0.0.1:{}"
    result = probe_tls(context(authority, "127.0.0.1", days=20), module, target=target)
    assert result.success, result
    assert result.tls is not None
    assert result.tls.earliest_expiry == ends_in(20)
    assert result.tls.lifetime == 90 * 86400
    assert result.tls.version == "TLS 1.3"
    assert result.tls.cipher is not None
    assert result.tls.cipher.startswith("TLS_AES_")
    assert result.phases.tls > 0


def test_every_probe_sees_the_chain_again(authority: trustme.CA, bundle: str):
    made = context(authority, "127.0.0.1")

    async def test() -> list[Result]:
        async with serving(always(answer()), tls=made) as port, Probers.start() as probers:
            module = http_module(tls_config={"ca_file": bundle})
            return [await probers.probe(f"https://127.0.0.1:{port}/", module, 5) for _ in range(3)]

    assert [result.tls.earliest_expiry for result in run(test()) if result.tls] == [ends_in(30)] * 3


@pytest.mark.parametrize(
    ("names", "days", "trusted", "words"),
    [
        (("127.0.0.1",), -3, True, "expired"),
        (("127.0.0.1",), 30, False, "issuer"),
        (("other.example",), 30, True, "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("prober", ["http", "tcp"])
def test_a_bad_certificate_is_a_humans_matter_and_keeps_its_expiry(
    prober: str, names: tuple[str], days: int, trusted: bool, words: str, authority: trustme.CA, bundle: str
):
    tls_config = {"ca_file": bundle} if trusted else {}
    if prober == "http":
        module, target = http_module(tls_config=tls_config), "https://127.0.0.1:{}/"
    else:
        module, target = tcp_module(tls_config=tls_config, tls=True), "127.0.0.1:{}"
    result = probe_tls(context(authority, *names, days=days), module, target=target)
    assert result.reason is Reason.CERTIFICATE
    assert result.reason.kind is Kind.FOR_A_HUMAN
    assert words in result.detail
    assert result.tls is not None
    assert result.tls.earliest_expiry == ends_in(days)
    assert result.tls.lifetime == 90 * 86400


def test_a_certificate_that_nobody_verifies_is_still_read(authority: trustme.CA):
    module = http_module(tls_config={"insecure_skip_verify": True})
    result = probe_tls(context(authority, "other.example", days=-3), module)
    assert result.success
    assert result.tls is not None
    assert result.tls.earliest_expiry == ends_in(-3)


@pytest.mark.parametrize("way", ["server_name", "header", "hostname"])
def test_the_certificates_name_can_be_another_than_the_addresss(way: str, authority: trustme.CA, bundle: str):
    tls_config = {"ca_file": bundle} | ({"server_name": "shop.example"} if way == "server_name" else {})
    headers = {"Host": "shop.example"} if way == "header" else {}
    named = {"hostname": "shop.example"} if way == "hostname" else {}
    seen: list[bytes] = []
    asked: list[str] = []
    made = context(authority, "shop.example")
    made.sni_callback = lambda _socket, name, _context: asked.append(name)
    module = http_module(tls_config=tls_config, headers=headers)
    assert probe_tls(made, module, always(answer(), seen), **named).success
    assert asked == ["shop.example"]
    wanted = b"Host: 127.0.0.1:" if way == "server_name" else b"Host: shop.example\r\n"
    assert wanted in seen[0]
    assert seen[0].count(b"Host:") == 1


def test_a_relative_redirect_stays_at_the_address_under_another_name(authority: trustme.CA, bundle: str):
    replies = iter([answer("302 Moved", b"", "Location: /next"), answer()])

    async def handle(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(replies))

    module = http_module(tls_config={"ca_file": bundle})
    result = probe_tls(context(authority, "shop.example"), module, handle, hostname="shop.example")
    assert result.success
    assert result.http is not None
    assert result.http.redirects == 1


def test_a_redirect_from_http_to_https_is_one_probe(authority: trustme.CA, bundle: str):
    async def test() -> Result:
        async with serving(always(answer()), tls=context(authority, "127.0.0.1")) as secure:
            moved = answer("301 Moved", b"", f"Location: https://127.0.0.1:{secure}/")
            async with serving(always(moved)) as port:
                module = http_module(tls_config={"ca_file": bundle}, fail_if_not_ssl=True)
                return await probed(f"http://127.0.0.1:{port}/", module)

    result = run(test())
    assert result.success
    assert result.http is not None
    assert result.http.ssl
    assert result.http.redirects == 1
    assert result.tls is not None


def test_http_behind_an_https_url_is_no_tls():
    async def test() -> Result:
        async with serving(always(b"HTTP/1.1 400 Bad\r\n\r\n"), reads=False) as port:
            return await probed(f"https://127.0.0.1:{port}/")

    result = run(test())
    assert result.reason is Reason.TLS
    assert result.reason.kind is Kind.FOR_A_HUMAN


def test_versions_that_do_not_meet_are_no_tls(authority: trustme.CA):
    made = context(authority, "127.0.0.1")
    made.maximum_version = ssl.TLSVersion.TLSv1_2

    def refuse(listener: socket.socket) -> None:
        # Not on the loop: uvloop closes such a connection without telling the client why.
        taken, _ = listener.accept()
        with taken, pytest.raises(ssl.SSLError):
            made.wrap_socket(taken, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=refuse, args=[listener])
        server.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        result = run(probed(url, http_module(tls_config={"min_version": "TLS13"})))
        server.join()
    assert result.reason is Reason.TLS
    assert "protocol version" in result.detail


def test_an_older_version_is_told_in_gos_words(authority: trustme.CA, bundle: str):
    made = context(authority, "127.0.0.1")
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    result = probe_tls(made, http_module(tls_config={"ca_file": bundle}))
    assert result.success
    assert result.tls is not None
    assert result.tls.version == "TLS 1.2"
    assert result.tls.cipher is not None
    assert result.tls.cipher.startswith("TLS_ECDHE_")


@pytest.mark.parametrize("prober", ["http", "tcp"])
def test_a_connection_closed_during_the_handshake_is_a_reset(prober: str):
    async def close(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async def test() -> Result:
        async with serving(close, reads=False) as port:
            module = http_module() if prober == "http" else tcp_module()
            return await probed(f"{'https' if prober == 'http' else 'tls'}://127.0.0.1:{port}", module)

    assert run(test()).reason is Reason.RESET


@pytest.mark.parametrize("prober", ["http", "tcp"])
def test_a_handshake_that_hangs_is_a_timeout(prober: str):
    async def hang(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test() -> Result:
        async with serving(hang, reads=False) as port:
            module = http_module() if prober == "http" else tcp_module()
            return await probed(f"{'https' if prober == 'http' else 'tls'}://127.0.0.1:{port}", module, 0.3)

    result = run(test())
    assert result.reason is Reason.TIMEOUT
    assert "TLS" in result.detail
    assert result.phases.tls > 0.2


def test_a_client_certificate_is_shown(authority: trustme.CA, bundle: str, tmp_path: Path):
    made = context(authority, "127.0.0.1")
    made.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(made)
    client = authority.issue_cert("client.example")
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    own = {"cert_file": str(tmp_path / "client.pem"), "key_file": str(tmp_path / "client.pem")}
    assert probe_tls(made, http_module(tls_config={"ca_file": bundle, **own})).success
    refused = probe_tls(made, http_module(tls_config={"ca_file": bundle}))
    assert refused.reason in (Reason.TLS, Reason.RESET)
    lost = {"cert_file": "/nonexistent.pem", "key_file": "/nonexistent.pem"}
    result = probe_tls(made, http_module(tls_config={"ca_file": bundle, **lost}))
    assert result.reason is Reason.ERROR
    assert "tls_config" in result.detail


def test_a_missing_authority_file_is_no_fault_of_the_site(authority: trustme.CA):
    result = probe_tls(
        context(authority, "127.0.0.1"), http_module(tls_config={"ca_file": "/nonexistent.pem"})
    )
    assert result.reason is Reason.ERROR
    assert "tls_config" in result.detail
