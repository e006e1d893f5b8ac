"""What blackbox_exporter and ours say of the same, with every sample; and where they differ on purpose.

The differences are those of docs/blackbox-exporter.md, row by row: each is shown here, and there is no other.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from threading import Thread
from typing import Any

import pytest
import requests
import trustme
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.beside import Beside, beside
from tests.exporter.certificates import context
from tests.ports import free_port

pytestmark = pytest.mark.needs("prometheus-blackbox-exporter")

PAGE = Path(__file__).resolve().parents[2] / "docs/blackbox-exporter.md"
TIMED = ("_duration_seconds", "_lookup_time_seconds")
HTTP = {"preferred_ip_protocol": "ip4"}

Samples = dict[str, float | str]


class Site(BaseHTTPRequestHandler):
    """Answers by its path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        bodies = {
            "/gzip": ("gzip", gzip.compress(b"hello" * 100)),
            "/deflate": ("deflate", zlib.compress(b"hello" * 100)),
            "/not-gzip": ("gzip", b"hello"),
        }
        encoding, body = bodies.get(self.path, ("", b"hello" * 100))
        self.send_response(503 if self.path == "/503" else 200)
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        for word in ("text/html", "x=1", "y=2"):
            self.send_header("X-Word", word)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def site(tls: SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a refused handshake is meant
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def modules(authority: Path) -> dict[str, Any]:
    trusting = {"ca_file": str(authority)}
    http: dict[str, dict[str, Any]] = {
        "http": {},
        "trusting": {"tls_config": trusting},
        "careless": {"tls_config": {"insecure_skip_verify": True}},
        "trusting_tls12": {"tls_config": trusting | {"max_version": "TLS12"}},
        "only_tls10": {"tls_config": trusting | {"min_version": "TLS10", "max_version": "TLS10"}},
        "h1": {"tls_config": trusting, "enable_http2": False, "valid_http_versions": ["HTTP/1.1"]},
        "gzip": {"compression": "gzip", "fail_if_body_not_matches_regexp": ["hellohello"]},
        "deflate": {"compression": "deflate"},
        "identity": {"compression": "identity"},
        "small": {"body_size_limit": "100B"},
        "large": {"body_size_limit": "1MB"},
        "exact": {"body_size_limit": "500B"},
        "words": {"fail_if_header_not_matches": [{"header": "x-word", "regexp": "^y"}]},
        "no_words": {"fail_if_header_matches": [{"header": "X-Word", "regexp": "^x="}]},
        "no_other": {"fail_if_header_matches": [{"header": "X-Other", "regexp": "."}]},
        "maybe_other": {"fail_if_header_not_matches": [
            {"header": "X-Other", "regexp": ".", "allow_missing": True}]},
        "only_503": {"valid_status_codes": [503]},
        "http_v6": {"preferred_ip_protocol": "ip6"},
        "http_only_v6": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False},
    }  # fmt: skip
    icmp: dict[str, dict[str, Any]] = {
        "icmp": {},
        "icmp_v4": {"preferred_ip_protocol": "ip4"},
        "icmp_only_v6": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False},
        "icmp_large": {"payload_size": 9000},
        "icmp_ttl": {"ttl": 3},
        "icmp_whole": {"dont_fragment": True, "preferred_ip_protocol": "ip4"},
        "icmp_source": {"source_ip_address": "127.0.0.7", "preferred_ip_protocol": "ip4"},
        "icmp_foreign": {"source_ip_address": "192.0.2.250", "preferred_ip_protocol": "ip4"},
    }
    return {
        **{name: {"prober": "http", "timeout": "2s", "http": HTTP | own} for name, own in http.items()},
        **{name: {"prober": "icmp", "timeout": "1s", "icmp": options} for name, options in icmp.items()},
    }


@dataclass
class World:
    """Both exporters, and where the targets are."""

    both: Beside
    places: dict[str, int]

    def said(self, module: str, target: str) -> tuple[Samples, Samples]:
        """Return what theirs says, and ours."""
        at = target.format(**self.places)
        theirs, ours = (samples(url, module, at) for url in (self.both.theirs, self.both.ours))
        return theirs, ours


def samples(url: str, module: str, target: str) -> Samples:
    text = requests.get(f"{url}/probe", {"module": module, "target": target}, timeout=10).text
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # Debian's does not tell the serial number yet.
            shown = sorted(item for item in sample.labels.items() if item[0] != "serialnumber")
            labels = ",".join(f"{key}={value}" for key, value in shown)
            timed = sample.name.endswith(TIMED) and sample.value >= 0
            found[f"{sample.name}{{{labels}}}"] = "a time" if timed else sample.value
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, authority = tmp_path_factory.mktemp("differential"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = {
        "valid": context(authority, "127.0.0.1", "localhost", "shop.example"),
        "below": context(authority.create_child_ca(), "127.0.0.1", "localhost"),
        "expired": context(authority, "127.0.0.1", days=-3),
        "misnamed": context(authority, "other.example"),
        "untrusted": context(trustme.CA(), "127.0.0.1"),
    }
    with ExitStack() as stack:
        places = {name: stack.enter_context(site(made)) for name, made in ({"plain": None} | tls).items()}
        both = stack.enter_context(beside(folder, modules(folder / "ca.pem")))
        yield World(both, places | {"closed": free_port()})


SAME = [
    *(("http", f"http://127.0.0.1:{{plain}}{path}") for path in ("/", "/503", "/gzip", "/not-gzip")),
    *((module, "http://127.0.0.1:{plain}/") for module in (
        "identity", "large", "exact", "words", "no_words", "no_other", "maybe_other", "only_503", "http_v6")),
    ("gzip", "http://127.0.0.1:{plain}/gzip"), ("only_503", "http://127.0.0.1:{plain}/503"), ("identity", "http://127.0.0.1:{plain}/gzip"),
    ("http", "http://127.0.0.1:{closed}/"), ("http_v6", "http://localhost:{plain}/"),
    *((module, f"https://127.0.0.1:{{{place}}}/") for module in ("trusting", "trusting_tls12", "h1")
      for place in ("valid", "below")),
    *(("icmp", target) for target in ("127.0.0.1", "::1")),
    ("icmp_v4", "localhost"), ("icmp_only_v6", "::1"),
    *((module, "127.0.0.1") for module in ("icmp_large", "icmp_ttl", "icmp_whole", "icmp_source")),
    *((module, "::1") for module in ("icmp_large", "icmp_ttl")),
    ("icmp_foreign", "127.0.0.1"), ("icmp", "no-such-host.invalid"),
]  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One row of the page: what shows it, and the families that it is about."""

    module: str
    target: str
    theirs: tuple[str, ...] = ()
    """Families of which theirs has samples that ours has not."""
    ours: tuple[str, ...] = ()
    """The other way round."""


CERTIFICATE = ("probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_info", "probe_tls_version_info")
UNPACKED = ("probe_success", "probe_http_uncompressed_body_length")
DIFFERENCES = {
    "refused-certificate": [
        Difference("trusting", f"https://127.0.0.1:{{{place}}}/", ours=CERTIFICATE)
        for place in ("expired", "untrusted", "misnamed")
    ],
    "uncompressed-answer": [Difference("gzip", "http://127.0.0.1:{plain}/", UNPACKED, UNPACKED)],
    "zlib-deflate": [Difference("deflate", "http://127.0.0.1:{plain}/deflate", UNPACKED, UNPACKED)],
    "unverified-chain": [
        Difference("careless", "https://127.0.0.1:{untrusted}/",
                   theirs=("probe_ssl_last_chain_expiry_timestamp_seconds",))
    ],
}  # fmt: skip
EVERYWHERE = {
    "reason": "sitemedic_probe_failure",
    "cipher": "probe_tls_cipher_info",
}
"""Families that ours has beside any probe: always more, never less."""


def without_ours(said: Samples) -> Samples:
    return {name: value for name, value in said.items() if not name.startswith(tuple(EVERYWHERE.values()))}


@pytest.mark.parametrize(("module", "target"), SAME)
def test_both_say_the_same(world: World, module: str, target: str) -> None:
    theirs, ours = world.said(module, target)
    assert without_ours(ours) == theirs


@pytest.mark.parametrize(
    "difference",
    [pytest.param(one, id=f"{row}-{at}") for row, all_ in DIFFERENCES.items() for at, one in enumerate(all_)],
)
def test_a_difference_of_the_page_is_there_and_is_all(world: World, difference: Difference) -> None:
    theirs, ours = world.said(difference.module, difference.target)
    ours = without_ours(ours)
    assert families(theirs.items() - ours.items()) == set(difference.theirs)
    assert families(ours.items() - theirs.items()) == set(difference.ours)


def test_ours_alone_tells_the_reason_and_the_cipher(world: World) -> None:
    for target, names in {
        "http://127.0.0.1:{closed}/": {EVERYWHERE["reason"]},
        "https://127.0.0.1:{valid}/": {EVERYWHERE["cipher"]},
    }.items():
        theirs, ours = world.said("trusting", target)
        assert families(ours.items() - theirs.items()) == names


def test_the_page_tells_each_difference_and_no_other() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    elsewhere = set(re.findall(r"^\| `([a-z-]+)` \| .* \| `tests/\S+` \|$", PAGE.read_text(), re.MULTILINE))
    assert set(told) - elsewhere == {*DIFFERENCES, *EVERYWHERE}
    assert len(told) == len(set(told))


def families(items: Any) -> set[str]:
    return {name.partition("{")[0] for name, _ in items}
