"""A name server of a site's own: asked alone, for every protocol, with a cache of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from benchmarks.faults.name_server import odd_server
from exporter.module import BUILT_IN, Module
from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import always, answer, run, serving
from tests.exporter.name_servers import nsd
from tests.exporter.running import exporter, site
from tests.exporter.test_configuration import configured, faults
from tests.waiting import until

NAME = "ns.shop.test"
"""Known to nsd alone, as 127.0.0.1."""


@pytest.fixture(scope="module")
def nameserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("nsd") is None:
        pytest.skip("nsd is not installed")
    with nsd(tmp_path_factory.mktemp("nsd"), trustme.CA()) as (port, _):
        yield f"127.0.0.1:{port}"


def probe(url: str, module: str | Module, resolver: str | None, seconds: float = 20) -> Result:
    async def test() -> Result:
        async with serving(always(answer())) as port, Probers.start() as probers:
            chosen = BUILT_IN[module] if isinstance(module, str) else module
            return await probers.probe(url.format(port=port), chosen, seconds, resolver=resolver)

    return run(test())


@pytest.mark.parametrize(
    ("url", "module"),
    [
        (f"http://{NAME}:{{port}}/", "http_2xx"),
        (f"tcp://{NAME}:{{port}}", "tcp_connect"),
        (f"icmp://{NAME}", "icmp"),
        (f"grpc://{NAME}:{{port}}", "grpc"),
    ],
)
def test_every_protocol_asks_the_sites_own_resolver(nameserver: str, url: str, module: str) -> None:
    result = probe(url, module, nameserver)
    assert result.reason is not Reason.DNS, result.detail
    assert result.ip_protocol == 4
    unknown = probe(url, module, None)
    assert unknown.reason is Reason.DNS


def test_redirects_are_resolved_by_it_too(nameserver: str) -> None:
    async def test() -> Result:
        async with serving(always(answer())) as end:
            led = answer("302 Found", b"", f"Location: http://{NAME}:{end}/")
            async with serving(always(led)) as begin, Probers.start() as probers:
                target = f"http://127.0.0.1:{begin}/"
                return await probers.probe(target, BUILT_IN["http_2xx"], 20, resolver=nameserver)

    result = run(test())
    assert result.success, result.detail
    assert result.http is not None
    assert result.http.redirects == 1


def test_what_one_resolver_knows_the_other_does_not(nameserver: str) -> None:
    async def test(odd: str) -> list[Result]:
        async with Probers.start() as probers:
            asked = [odd, nameserver, odd]
            url, module = (
                "http://good.shop.test:1/",
                Module.model_validate(
                    {
                        "prober": "http",
                        "http": {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": False},
                    }
                ),
            )
            return [await probers.probe(url, module, 2, resolver=one) for one in asked]

    with odd_server() as port:
        first, unknown, again = run(test(f"127.0.0.1:{port}"))
    assert first.reason is not Reason.DNS
    assert (unknown.reason, unknown.detail) == (
        Reason.DNS,
        f"the name good.shop.test does not exist (asked {nameserver})",
    )
    assert again.ip_addr_hash == first.ip_addr_hash != 0


@pytest.mark.parametrize("behaviour", ["nxdomain", "servfail", "silent", "garbage", "refused"])
def test_a_resolver_that_cannot_say_is_reason_dns(behaviour: str) -> None:
    with odd_server() as port:
        result = probe(f"http://{behaviour}.test:{{port}}/", "http_2xx", f"127.0.0.1:{port}", seconds=2)
    assert result.reason is Reason.DNS
    assert f"(asked 127.0.0.1:{port})" in result.detail


def test_the_hosts_file_is_not_looked_at() -> None:
    lines = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
    names = [name for line in lines for name in line[1:] if "localhost" not in name and line[0] != "::1"]
    if not names:
        pytest.skip("/etc/hosts names nobody but localhost")
    with odd_server() as port:
        result = probe(f"tcp://{names[0]}:{{port}}", "tcp_connect", f"127.0.0.1:{port}", seconds=1)
        assert result.reason is Reason.DNS
    assert probe(f"tcp://{names[0]}:{{port}}", "tcp_connect", None).reason is not Reason.DNS


def test_a_resolver_that_no_site_has_any_more_is_closed(nameserver: str) -> None:
    async def test() -> None:
        async with Probers.start() as probers, serving(always(answer())) as port:
            url = f"http://{NAME}:{port}/"
            for _ in range(2):
                assert (await probers.probe(url, BUILT_IN["http_2xx"], 20, resolver=nameserver)).success
                probers.keep_resolvers({nameserver})
            probers.keep_resolvers(())
            assert (await probers.probe(url, BUILT_IN["http_2xx"], 20, resolver=nameserver)).success

    run(test())


def test_a_site_is_probed_through_its_resolver_and_a_reload_changes_it(
    tmp_path: Path, nameserver: str
) -> None:
    with site() as told:
        one = {"name": "shop", "url": f"http://{NAME}:{told.port}/", "interval": "300ms", "timeout": "250ms"}
        with exporter(tmp_path, {"sites": [{**one, "resolver": nameserver}]}) as running:
            until(lambda: running.site("shop")["success"], 30, "a success")
            assert "probe_success 1\n" in running.get("/probe", site="shop").text
            running.write({"sites": [one]})
            running.post("/-/reload")
            until(lambda: running.site("shop")["reason"] == "dns", 30, "the system's resolver")


def test_apps_take_the_resolver_of_their_site_and_may_go_back_to_the_systems(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        """
defaults: {resolver: 10.0.0.1}
sites:
  - {name: a, url: "http://a/", resolver: "10.0.0.2:5353", apps: [{name: x, url: "http://x/"}]}
  - {name: b, url: "http://b/"}
  - {name: c, url: "http://c/", resolver: system}
  - {name: d, url: "http://d/", resolver: "2001:db8::1"}
""",
    ).sites
    assert {one.name: one.resolver for one in found} == {
        "a": "10.0.0.2:5353",
        "a/x": "10.0.0.2:5353",
        "b": "10.0.0.1:53",
        "c": None,
        "d": "[2001:db8::1]:53",
    }


@pytest.mark.parametrize("text", ["dns.example", "10.0.0.2:0", "10.0.0.2:x", "[::1", ""])
def test_what_is_no_resolver_is_refused_with_the_mend(tmp_path: Path, text: str) -> None:
    (fault,) = faults(tmp_path, f"sites:\n  - {{name: a, url: 'http://a/', resolver: '{text}'}}\n")
    assert fault.startswith(
        "sites.yml: sites[0].resolver: must be the address of a name server, such as 10.0.0.2"
    )
