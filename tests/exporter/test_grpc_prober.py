import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from exporter.exposition import probe_text
from exporter.module import Module
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.beside import beside, without
from tests.exporter.certificates import context
from tests.exporter.loopback import always, answer, probed, run, serving
from tests.ports import free_port


class Noting(grpc.ServerInterceptor):  # type: ignore[misc] # grpcio is untyped
    """Keeps the metadata of each call."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen += [(item.key, item.value) for item in details.invocation_metadata]
        return continuation(details)


@dataclass
class Servers:
    plain: int
    secure: int
    without_health: int
    authority: str
    noting: Noting


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    authority, noting = trustme.CA(), Noting()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    key, chain = leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()
    with ThreadPoolExecutor(2) as pool:
        server, bare = grpc.server(pool, interceptors=[noting]), grpc.server(pool)
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for name, status in {
            "": "SERVING",
            "ill": "NOT_SERVING",
            "who": "UNKNOWN",
            "s" * 200: "SERVING",
        }.items():
            servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
        plain = server.add_insecure_port("127.0.0.1:0")
        secure = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
        without_health = bare.add_insecure_port("127.0.0.1:0")
        for one in (server, bare):
            one.start()
        yield Servers(plain, secure, without_health, authority.cert_pem.bytes().decode(), noting)
        for one in (server, bare):
            one.stop(0).wait(5)


def grpc_module(**options: Any) -> Module:
    return Module.model_validate({"prober": "grpc", "grpc": options})


@pytest.mark.parametrize("target", ["127.0.0.1:{}", "grpc://127.0.0.1:{}", "grpc://localhost:{}/"])
def test_a_server_that_serves_is_a_success(servers: Servers, target: str):
    result = run(probed(target.format(servers.plain), grpc_module()))
    assert result.success, result.detail
    assert 'probe_grpc_healthcheck_response{serving_status="SERVING"} 1\n' in probe_text(result)
    assert result.phases.processing > 0


@pytest.mark.parametrize(
    ("service", "words"),
    [("ill", "NOT_SERVING"), ("who", "UNKNOWN"), ("nope", "answered NOT_FOUND"), ("s" * 200, "")],
)
def test_a_service_s_own_health_is_told(servers: Servers, service: str, words: str):
    result = run(probed(f"127.0.0.1:{servers.plain}", grpc_module(service=service)))
    assert (result.reason, words in result.detail) == (Reason.STATUS if words else None, True)


def test_metadata_is_sent(servers: Servers):
    servers.noting.seen.clear()
    run(probed(f"127.0.0.1:{servers.plain}", grpc_module(metadata={"x-one": ["a", "b"]})))
    assert [value for key, value in servers.noting.seen if key == "x-one"] == ["a", "b"]


def test_tls_and_its_certificate_are_told(servers: Servers):
    target = f"127.0.0.1:{servers.secure}"
    result = run(probed(f"grpcs://{target}", grpc_module(tls_config={"ca": servers.authority})))
    assert result.success, result.detail
    assert "probe_grpc_ssl 1\n" in probe_text(result)
    assert result.tls is not None
    assert result.tls.version == "TLS 1.3"
    assert run(probed(target, grpc_module(tls=True, tls_config={"insecure_skip_verify": True}))).success
    refused = run(probed(target, grpc_module(tls=True)))
    assert refused.reason is Reason.CERTIFICATE
    assert "probe_ssl_earliest_cert_expiry" in probe_text(refused)


def test_what_is_no_health_check_has_its_reason(servers: Servers):
    async def hang(*_: object) -> None:
        await asyncio.sleep(30)

    async def test() -> list[Result]:
        http1 = context(trustme.CA(), "127.0.0.1")
        async with (
            serving(always(answer())) as web, serving(hang, reads=False) as hanging,
            serving(always(answer()), http1) as secure_web,
        ):  # fmt: skip
            ports = (web, hanging, free_port(), servers.without_health)
            found = [await probed(f"127.0.0.1:{port}", grpc_module(), 1) for port in ports]
            careless = grpc_module(tls=True, tls_config={"insecure_skip_verify": True})
            return [*found, await probed(f"127.0.0.1:{secure_web}", careless, 1)]

    results = run(test())
    assert [result.reason for result in results] == [
        Reason.PROTOCOL, Reason.TIMEOUT, Reason.REFUSED, Reason.STATUS, Reason.PROTOCOL,
    ]  # fmt: skip
    assert [result.facts.status_code for result in results[1:4]] == [4, 14, 12]  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", ["http2://h:1", "h:1/path", "me:hunter2@h:1", "h:port"])
def test_what_is_no_host_and_port_is_an_error_that_shows_no_secret(target: str):
    result = run(probed(target, grpc_module()))
    assert result.reason is Reason.ERROR
    assert "hunter2" not in result.detail


@pytest.mark.needs("prometheus-blackbox-exporter")
def test_blackbox_exporter_says_the_same(servers: Servers, tmp_path: Path):
    (tmp_path / "ca.pem").write_text(servers.authority)
    tls = {"tls": True, "tls_config": {"ca_file": str(tmp_path / "ca.pem")}}
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "ill": {"service": "ill"},
        "who": {"service": "who"},
        "nope": {"service": "nope"},
        "tls": tls,
    }
    made = {
        name: {"prober": "grpc", "timeout": "2s", "grpc": {"preferred_ip_protocol": "ip4"} | own}
        for name, own in options.items()
    }
    with beside(tmp_path, made) as both:
        for name in options:
            target = f"127.0.0.1:{servers.secure if name == 'tls' else servers.plain}"
            theirs, ours = both.probe(name, target)
            assert without(ours, "probe_ssl", "probe_tls") == without(theirs, "probe_ssl", "probe_tls"), name
            if name == "tls":
                assert ours == theirs
