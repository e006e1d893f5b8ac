"""The same probes by blackbox_exporter and by ours, of the same loopback targets: the same samples."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import trustme
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.certificates import context
from tests.exporter.loopback import Handler, answer, serving
from tests.exporter.running import exporter
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus-blackbox-exporter")

Samples = dict[str, float | str]

EVERYWHERE = (
    "sitemedic_probe_failure",
    "probe_ssl_last_chain",
    "probe_tls_cipher_info",
    "probe_failed_due_to_bytes",
)
"""Ours alone, compared elsewhere, and too young for Debian's blackbox_exporter."""
TIMES = ("probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds")

REPLIES = {
    "/": answer(),
    "/404": answer("404 Not Found"),
    "/500": answer("500 Oops", b""),
    "/204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/old": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello",
    "/garbage": b"\x00\x01\xff" * 20,
    "/modified": answer("200 OK", b"x", "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"),
    "/yesterday": answer("200 OK", b"x", "Last-Modified: yesterday"),
    "/marked": answer("200 OK", b"x", "X-Mark: yes"),
    "/there": answer("302 Found", b"", "Location: /"),
    "/loop": answer("302 Found", b"", "Location: /loop"),
    "/nowhere": answer("302 Found", b""),
    "/other-method": answer("303 See Other", b"", "Location: /"),
    "/same-method": answer("307 Temporary Redirect", b"", "Location: /"),
}

HTTP_CASES = [
    *(("http_2xx", path) for path in REPLIES if path != "/chunked"),
    *((module, "/") for module in ("found", "lacking", "header_lacking", "post", "bare_post", "put", "head")),
    *((module, "/") for module in ("basic", "bearer", "host", "not_ssl", "version", "v6_only")),
    ("header_found", "/marked"), ("header_found", "/"), ("not_found", "/404"), ("not_found", "/"),
    ("stay", "/there"), ("post", "/other-method"), ("post", "/same-method"), ("basic", "/there"),
]  # fmt: skip


def modules(authority: Path) -> dict[str, Any]:
    http: dict[str, dict[str, Any]] = {
        "http_2xx": {},
        "found": {"fail_if_body_matches_regexp": ["h[aeiou]llo"]},
        "lacking": {"fail_if_body_not_matches_regexp": ["hello", "Welcome"]},
        "header_found": {
            "fail_if_header_matches": [{"header": "X-Mark", "regexp": "y", "allow_missing": True}]
        },
        "header_lacking": {"fail_if_header_not_matches": [{"header": "X-Mark", "regexp": "y"}]},
        "post": {"method": "POST", "body": '{"a":1}', "headers": {"Content-Type": "application/json"}},
        "bare_post": {"method": "POST"},
        "put": {"method": "PUT", "body": "a=1"},
        "head": {"method": "HEAD"},
        "basic": {"basic_auth": {"username": "me", "password": "s3cret"}},
        "bearer": {"authorization": {"credentials": "token"}},
        "host": {"headers": {"Host": "shop.example", "X-One": "two"}},
        "not_found": {"valid_status_codes": [404]},
        "not_ssl": {"fail_if_not_ssl": True},
        "version": {"valid_http_versions": ["HTTP/2.0"]},
        "stay": {"follow_redirects": False},
        "v6_only": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False},
        "trusting": {"tls_config": {"ca_file": str(authority)}},
        "named": {"tls_config": {"ca_file": str(authority), "server_name": "other.example"}},
        "careless": {"tls_config": {"insecure_skip_verify": True}},
    }
    tcp: dict[str, dict[str, Any]] = {
        "tcp_connect": {},
        "tcp_trusting": {"tls": True, "tls_config": {"ca_file": str(authority)}},
    }
    return {
        **{name: {"prober": "http", "timeout": "1s", "http": options} for name, options in http.items()},
        **{name: {"prober": "tcp", "timeout": "1s", "tcp": options} for name, options in tcp.items()},
    }


@dataclass
class Pair:
    """Both exporters, and the servers that they probe."""

    theirs: str
    ours: str
    ports: dict[str, int]
    requests: list[bytes]

    def probe(self, module: str, target: str) -> tuple[Samples, Samples]:
        """Return what each says of the same target."""
        return self._asked(self.theirs, module, target), self._asked(self.ours, module, target)

    def sent(self, module: str, target: str) -> tuple[list[bytes], list[bytes]]:
        """Return the requests that each makes."""
        found = []
        for url in (self.theirs, self.ours):
            self.requests.clear()
            self._asked(url, module, target)
            found.append([essence(request) for request in self.requests])
        return found[0], found[1]

    def _asked(self, url: str, module: str, target: str) -> Samples:
        text = requests.get(f"{url}/probe", params={"module": module, "target": target}, timeout=10).text
        found: Samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.name.startswith(EVERYWHERE):
                    labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                    value = "a time" if sample.name in TIMES and sample.value >= 0 else sample.value
                    found[f"{sample.name}{{{labels}}}"] = value
        return found


def essence(request: bytes) -> bytes:
    """Return a request without the headers that each client adds in its own way, in one order."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    own = (b"accept: */*", b"connection:", b"referer:", b"user-agent:")
    return b"\n".join([first, *sorted(line for line in lines if not line.lower().startswith(own)), body])


def _answering(seen: list[bytes]) -> Handler:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0"
        )
        seen.append(head + await reader.readexactly(int(length.partition(b":")[2])))
        writer.write(REPLIES[head.split()[1].decode()])
        await writer.drain()

    return handle


async def _hang(*_: object) -> None:
    await asyncio.sleep(30)


@contextmanager
def servers(authority: trustme.CA, seen: list[bytes]) -> Iterator[dict[str, int]]:
    """Run the targets in a loop of their own until the block ends."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    ports: dict[str, int] = {}

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for name, tls in {
                "plain": None,
                "valid": context(authority, "127.0.0.1", "localhost", "other.example"),
                "expired": context(authority, "127.0.0.1", days=-3),
                "misnamed": context(authority, "other.example"),
                "untrusted": context(trustme.CA(), "127.0.0.1"),
            }.items():
                ports[name] = await stack.enter_async_context(serving(_answering(seen), tls))
            hanging = await stack.enter_async_context(serving(_hang, reads=False))
            ports.update(hanging=hanging, closed=free_port())
            await ended.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        until(lambda: "closed" in ports, 5, "the servers")
        yield ports
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(5)
        loop.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    authority, seen = trustme.CA(), list[bytes]()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    configuration = {"modules": modules(folder / "ca.pem")}
    theirs = folder / "blackbox.yml"
    theirs.write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "blackbox.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus-blackbox-exporter", f"--config.file={theirs}", f"--web.listen-address={address}"],
            stderr=log, stdout=log,
        )  # fmt: skip
    try:
        with servers(authority, seen) as ports, exporter(folder, configuration) as running:
            until(lambda: requests.get(f"http://{address}/-/healthy", timeout=2).ok, 10, "blackbox_exporter")
            yield Pair(f"http://{address}", running.url, ports, seen)
    finally:
        process.terminate()
        process.wait(10)


def without(samples: Samples, *beginnings: str) -> Samples:
    return {name: value for name, value in samples.items() if not name.startswith(beginnings)}


def test_the_file_that_debian_ships_is_served_as_it_is(tmp_path: Path) -> None:
    shipped = Path("/etc/prometheus/blackbox.yml").read_text()
    with exporter(tmp_path, shipped) as running:
        target = running.url.removeprefix("http://")
        for name in yaml.safe_load(shipped)["modules"]:
            answered = requests.get(
                f"{running.url}/probe", {"module": name, "target": target}, timeout=5,
                headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.7"},
            )  # fmt: skip
            assert answered.status_code == 200, name


@pytest.mark.parametrize(("module", "path"), HTTP_CASES)
def test_an_http_answer_gives_the_same_samples(pair: Pair, module: str, path: str) -> None:
    theirs, ours = pair.probe(module, f"http://127.0.0.1:{pair.ports['plain']}{path}")
    if module == "v6_only":  # they leave the phases out that were not reached, we say 0
        theirs, ours = (without(samples, "probe_http_duration", "probe_ip") for samples in (theirs, ours))
    assert ours == theirs


@pytest.mark.parametrize(
    "module", ["post", "bare_post", "put", "head", "basic", "bearer", "host", "http_2xx"]
)
@pytest.mark.parametrize("path", ["/", "/other-method", "/same-method"])
def test_the_same_requests_are_made(pair: Pair, module: str, path: str) -> None:
    theirs, ours = pair.sent(module, f"http://127.0.0.1:{pair.ports['plain']}{path}")
    assert ours == theirs


@pytest.mark.parametrize("module", ["trusting", "named", "careless", "http_2xx", "tcp_trusting"])
@pytest.mark.parametrize("server", ["valid", "expired", "misnamed", "untrusted"])
def test_a_tls_server_gives_the_same_samples_and_its_certificate_also_when_it_is_refused(
    pair: Pair, module: str, server: str
) -> None:
    scheme = "" if module.startswith("tcp") else "https://"
    theirs, ours = pair.probe(module, f"{scheme}127.0.0.1:{pair.ports[server]}")
    assert "probe_ssl_earliest_cert_expiry{}" in ours
    if not theirs["probe_success{}"]:
        ours = without(ours, "probe_ssl_earliest_cert_expiry", "probe_tls_version_info")
    assert ours == theirs


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("http_2xx", "http://127.0.0.1:{closed}/"),
        ("http_2xx", "http://127.0.0.1:{hanging}/"),
        ("http_2xx", "http://localhost:{plain}/"),
        ("http_2xx", "127.0.0.1:{plain}"),
        ("http_2xx", "https://127.0.0.1:{plain}/"),
        ("http_2xx", "http://127.0.0.1:{valid}/"),
        ("tcp_connect", "127.0.0.1:{plain}"),
        ("tcp_connect", "localhost:{plain}"),
        ("tcp_connect", "127.0.0.1:{closed}"),
        ("tcp_trusting", "127.0.0.1:{hanging}"),
        ("tcp_trusting", "127.0.0.1:{closed}"),
        ("tcp_connect", "nosuch.invalid:80"),
    ],
)
def test_who_does_not_answer_gives_the_same_samples(pair: Pair, module: str, target: str) -> None:
    theirs, ours = pair.probe(module, target.format(**pair.ports))
    assert ours == theirs
