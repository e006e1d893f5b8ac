import asyncio
import gzip
import socket

import pytest

from exporter.module import Module
from exporter.probers import ProbeLog
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import (
    always,
    answer,
    http_module,
    probe_answer,
    probed,
    run,
    serving,
)


def test_an_answer_of_200_is_a_success_with_its_facts():
    result = probe_answer(answer("200 OK", b"hello", "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"))
    assert result.success
    assert result.reason is None
    assert result.detail == ""
    assert result.http is not None
    assert result.http.status_code == 200
    assert result.http.http_version == 1.1
    assert result.http.redirects == 0
    assert not result.http.ssl
    assert result.http.content_length == 5
    assert result.http.uncompressed_body_length == 5
    assert result.http.last_modified == 1445412480
    assert (result.ip_protocol, result.ip_addr_hash) == (4, 3668918509)


def test_an_answer_of_500_fails_with_the_reason_status():
    result = probe_answer(answer("500 Oops"))
    assert result.reason is Reason.STATUS
    assert result.status_code == 500
    assert result.detail == "answered 500, expected 2xx"


@pytest.mark.parametrize(
    ("status", "valid", "well"),
    [
        (404, [404], True),
        (200, [404], False),
        (302, ["3xx"], True),
        (204, 204, True),
        (500, ["2xx", 503], False),
    ],
)
def test_valid_status_codes_take_numbers_and_classes(status: int, valid: object, well: bool):
    assert probe_answer(answer(f"{status} X"), valid_status_codes=valid).success is well


def test_the_http_version_can_be_expected():
    reply = answer().replace(b"HTTP/1.1", b"HTTP/1.0")
    assert probe_answer(reply, valid_http_versions=["HTTP/1.0"]).success
    result = probe_answer(reply, valid_http_versions=["HTTP/1.1", "HTTP/2.0"])
    assert result.reason is Reason.PROTOCOL
    assert "HTTP/1.0" in result.detail


def test_a_missing_pattern_and_an_unwanted_one_fail_with_the_reason_body():
    assert probe_answer(answer(), fail_if_body_not_matches_regexp=["^hel+o$"]).success
    missing = probe_answer(answer(), fail_if_body_not_matches_regexp=["hello", "Welcome"])
    assert missing.reason is Reason.BODY
    assert "Welcome" in missing.detail
    assert missing.http is not None
    assert missing.http.failed_due_to_regex
    unwanted = probe_answer(answer(), fail_if_body_matches_regexp=["ell"])
    assert unwanted.reason is Reason.BODY
    assert "must not" in unwanted.detail


def test_patterns_see_the_first_mebibyte_and_the_length_counts_everything():
    body = b"x" * (1 << 20) + b"needle"
    result = probe_answer(answer(body=body), fail_if_body_not_matches_regexp=["needle"])
    assert result.reason is Reason.BODY
    assert "first 1048576 bytes" in result.detail
    assert result.http is not None
    assert result.http.uncompressed_body_length == len(body)
    assert probe_answer(
        answer(body=body), fail_if_body_not_matches_regexp=["needle"], body_size_limit="2MB"
    ).success


@pytest.mark.parametrize("head", [b"Content-Length: 3000\r\n", b""])
def test_a_body_above_its_limit_fails(head: bytes):
    result = probe_answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * 3000, body_size_limit=2000)
    assert result.reason is Reason.BODY
    assert "body_size_limit" in result.detail


@pytest.mark.parametrize(
    ("options", "well"),
    [
        ({"fail_if_header_matches": [{"header": "x-a", "regexp": "b"}]}, False),
        ({"fail_if_header_matches": [{"header": "X-A", "regexp": "^c$"}]}, True),
        ({"fail_if_header_matches": [{"header": "X-None", "regexp": "."}]}, False),
        ({"fail_if_header_matches": [{"header": "X-None", "regexp": ".", "allow_missing": True}]}, True),
        ({"fail_if_header_not_matches": [{"header": "X-A", "regexp": "second"}]}, True),
        ({"fail_if_header_not_matches": [{"header": "X-A", "regexp": "third"}]}, False),
        ({"fail_if_header_not_matches": [{"header": "X-None", "regexp": ".", "allow_missing": True}]}, True),
    ],
)
def test_header_patterns(options: dict[str, object], well: bool):
    result = probe_answer(answer("200 OK", b"", "X-A: abc", "X-A: second"), **options)
    assert result.success is well
    if not well:
        assert result.reason is Reason.HEADER
        assert result.http is not None
        assert result.http.failed_due_to_regex


def test_a_compressed_body_is_unpacked_only_when_asked_for():
    seen: list[bytes] = []
    packed = gzip.compress(b"Welcome " * 100)
    reply = answer("200 OK", packed, "Content-Encoding: gzip")
    options = {"fail_if_body_not_matches_regexp": ["^(Welcome ){100}$"]}
    result = probe_answer(reply, seen, compression="gzip", **options)
    assert result.success
    assert result.http is not None
    assert result.http.uncompressed_body_length == 800
    assert result.http.content_length == len(packed)
    assert b"Accept-Encoding: gzip" in seen[0]
    assert probe_answer(reply, **options).reason is Reason.BODY
    broken = probe_answer(answer("200 OK", b"not packed", "Content-Encoding: gzip"), compression="gzip")
    assert broken.reason is Reason.BODY


def test_what_unpacks_to_more_than_a_page_ever_holds_is_left_packed():
    bomb = gzip.compress(b"\0" * (64 << 20))
    result = probe_answer(answer("200 OK", bomb, "Content-Encoding: gzip"), compression="gzip")
    assert result.reason is Reason.BODY
    assert "32 MiB" in result.detail
    assert result.http is not None
    assert result.http.uncompressed_body_length < 40 << 20
    higher = {"compression": "gzip", "body_size_limit": "70MB"}
    assert probe_answer(answer("200 OK", bomb, "Content-Encoding: gzip"), **higher).success


def test_method_headers_and_body_are_sent():
    seen: list[bytes] = []
    result = probe_answer(
        answer(), seen, method="post", body="a=1", headers={"X-Number": 7, "Host": "shop.example"}
    )
    assert result.success
    head = seen[0].decode()
    assert head.startswith("POST / HTTP/1.1\r\n")
    assert "X-Number: 7\r\n" in head
    assert "Content-Length: 3\r\n" in head
    assert "Host: shop.example\r\n" in head
    assert "Content-Type" not in head
    assert "Expect" not in head


@pytest.mark.parametrize(
    ("method", "body"), [("HEAD", ""), ("PUT", "x"), ("DELETE", ""), ("GET", "x"), ("POST", "")]
)
def test_every_method_goes_out_as_written(method: str, body: str):
    seen: list[bytes] = []
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert probe_answer(reply, seen, method=method, body=body).success
    assert seen[0].startswith(f"{method} / ".encode())


def test_the_hostname_parameter_takes_the_targets_place():
    seen: list[bytes] = []

    async def test() -> Result:
        async with serving(always(answer(), seen)) as port:
            return await probed(f"127.0.0.1:{port}/x?y=1", hostname="shop.example")

    assert run(test()).success
    assert seen[0].startswith(b"GET /x?y=1 ")
    assert b"Host: shop.example\r\n" in seen[0]


def test_phases_tell_a_delay_of_20_ms_where_it_is():
    async def late(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(0.04)
        writer.write(b"hello")
        await writer.drain()

    async def test() -> list[Result]:
        async with serving(late) as port:
            return [await probed(f"http://127.0.0.1:{port}/") for _ in range(5)]

    results = run(test())
    for result in results:
        assert result.duration == pytest.approx(sum(result.phases), abs=1e-5), "nothing of ours is in it"
    phases = min(results, key=lambda result: result.duration).phases
    assert phases.processing == pytest.approx(0.02, abs=0.01)
    assert phases.transfer == pytest.approx(0.04, abs=0.01)
    assert phases.connect < 0.01
    assert phases.tls == 0
    assert phases.resolve == 0


def test_a_name_from_the_hosts_file_is_resolved_and_timed():
    async def test() -> Result:
        async with serving(always(answer())) as port:
            return await probed(f"http://localhost:{port}/")

    result = run(test())
    assert result.success
    assert result.ip_protocol == 4
    assert result.dns_lookup_time > 0
    assert result.phases.resolve == result.dns_lookup_time


def test_two_header_values_of_a_bad_target_are_never_shown():
    result = run(probed("http://user:hunter2@host:99999/?token=s3cret"))
    assert result.reason is Reason.ERROR
    assert "hunter2" not in result.detail
    assert "s3cret" not in result.detail


def test_a_module_that_cannot_be_used_says_so_when_it_is_used():
    module = Module.model_validate({"prober": "dns", "dns": {"dns_over_tls": True}})
    result = run(probed("127.0.0.1", module))
    assert result.reason is Reason.ERROR
    assert "the module's dns.dns_over_tls: needs transport_protocol: tcp" in result.detail


def test_the_log_tells_the_steps_without_secrets():
    log = ProbeLog()

    async def test() -> Result:
        async with serving(always(answer())) as port:
            return await probed(f"http://me:hunter2@127.0.0.1:{port}/?token=s3cret", log=log)

    assert run(test()).success
    text = "\n".join(log.lines)
    assert "status=200" in text
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_the_environments_proxies_are_ignored_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert probe_answer(answer()).success


def test_a_modules_proxy_is_used_and_its_failure_is_nobody_elses():
    seen: list[bytes] = []

    async def test() -> Result:
        async with serving(always(answer(), seen)) as port:
            return await probed("http://shop.invalid/x", http_module(proxy_url=f"http://127.0.0.1:{port}"))

    assert run(test()).success
    assert seen[0].startswith(b"GET http://shop.invalid/x ")
    result = run(probed("http://shop.invalid/x", http_module(proxy_url="http://127.0.0.1:1")))
    assert result.reason is Reason.ERROR
    assert "proxy" in result.detail


def test_plain_http_can_be_refused_by_fail_if_not_ssl():
    result = probe_answer(answer(), fail_if_not_ssl=True)
    assert result.reason is Reason.TLS
    assert "fail_if_not_ssl" in result.detail


def test_ipv6_is_spoken_and_counted():
    async def test() -> Result:
        server = await asyncio.start_server(serve, "::1", 0, family=socket.AF_INET6)
        try:
            return await probed(f"http://[::1]:{server.sockets[0].getsockname()[1]}/")
        finally:
            server.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        writer.close()

    result = run(test())
    assert result.success
    assert (result.ip_protocol, result.ip_addr_hash) == (6, 1751717746)
