"""Which proxy a request goes through, as Go's httpproxy (and so blackbox_exporter) settles it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.probers.http_options import HTTPOptions
from exporter.probers.proxies import Proxies, proxies_of, proxy_of
from exporter.target import parse_web_target
from tests.exporter.running import exporter

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "proxied"),
    [
        ("", "http://a.example/", True),
        ("", "http://localhost/", False),
        ("", "http://localhost:8080/", False),
        ("", "http://127.0.0.1/", False),
        ("", "http://[::1]/", False),
        ("*", "http://a.example/", False),
        ("b.example", "http://a.example/", True),
        ("a.example", "http://a.example/", False),
        ("A.Example , b", "http://a.example/", False),
        ("example", "http://a.example/", False),
        ("a.example", "http://xa.example/", True),
        (".example", "http://a.example/", False),
        (".a.example", "http://a.example/", True),
        ("*.a.example", "http://b.a.example/", False),
        ("*.a.example", "http://a.example/", True),
        ("a.example:80", "http://a.example/", False),
        ("a.example:80", "http://a.example:81/", True),
        ("a.example:443", "https://a.example/", False),
        ("10.0.0.7", "http://10.0.0.7:81/", False),
        ("10.0.0.7:80", "http://10.0.0.7:81/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", False),
        ("10.0.0.0/8", "http://11.1.2.3/", True),
        ("10.0.0.0/8", "http://a.example/", True),
        ("fd00::/8", "http://[fd00::7]/", False),
        ("[fd00::7]:80", "http://[fd00::7]/", False),
        ("fd00::7", "http://[fd00:0::7]:81/", False),
        (":80,,  ,10.0.0.0/99", "http://a.example/", True),
    ],
)
def test_what_no_proxy_names_is_reached_directly(no_proxy: str, url: str, proxied: bool) -> None:
    web = parse_web_target(url)
    assert bool(Proxies(PROXY, PROXY, no_proxy).of(web)) is proxied
    if no_proxy:
        assert bool(proxy_of(HTTPOptions(proxy_url=PROXY, no_proxy=no_proxy), web)) is proxied


def test_a_modules_proxy_without_no_proxy_is_for_localhost_too() -> None:
    assert proxy_of(HTTPOptions(proxy_url=PROXY), parse_web_target("http://localhost/")) == PROXY


@pytest.mark.parametrize(
    ("environ", "http", "https"),
    [
        ({}, "", ""),
        ({"HTTP_PROXY": PROXY}, PROXY, ""),
        ({"https_proxy": PROXY}, "", PROXY),
        ({"HTTPS_PROXY": "proxy:3128", "https_proxy": "other"}, "", "http://proxy:3128"),
        ({"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": "a.example"}, "", ""),
        ({"HTTP_PROXY": PROXY, "no_proxy": "b.example"}, PROXY, ""),
        ({"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "", PROXY),
        ({"ALL_PROXY": PROXY}, "", ""),
    ],
)
def test_the_environment_names_a_proxy_for_each_scheme(
    environ: dict[str, str], http: str, https: str
) -> None:
    found = proxies_of(environ)
    assert found.of(parse_web_target("http://a.example/")) == http
    assert found.of(parse_web_target("https://a.example/")) == https


@pytest.mark.parametrize("key", ["proxy_url", "no_proxy"])
def test_the_environments_proxies_and_a_modules_own_are_not_mixed(key: str) -> None:
    options = HTTPOptions.model_validate({"proxy_from_environment": True, key: "http://p/"})
    assert [place for place, _ in options.complaints()] == [key]


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Give a proxy that answers by itself, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join(5)


MODULES = {
    "plain": {"prober": "http", "timeout": "1s"},
    "via": {"prober": "http", "timeout": "1s", "http": {"proxy_from_environment": True}},
}


def test_the_environments_proxy_is_used_where_the_module_asks_for_it(
    tmp_path: Path, proxy: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = proxy
    monkeypatch.setenv("HTTP_PROXY", url)
    # 127.0.0.1 for the test's own requests; the exporter leaves it out anyway.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,198.51.100.0/24,192.0.2.2:80")
    with exporter(tmp_path, {"modules": MODULES}) as running:

        def succeeds(module: str, target: str) -> bool:
            return "probe_success 1\n" in running.get("/probe", target=target, module=module).text

        assert succeeds("via", "http://shop.invalid/x")
        assert succeeds("via", "http://192.0.2.2:81/")
        assert asked == ["http://shop.invalid/x", "http://192.0.2.2:81/"]
        for direct in ("http://192.0.2.2/", "http://198.51.100.7/"):
            assert not succeeds("via", direct)
        assert not succeeds("plain", "http://192.0.2.1/")
        assert len(asked) == 2
