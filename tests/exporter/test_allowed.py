import asyncio

import pytest

from exporter.allowed import AllowedTargets, parse_pattern, target_key
from exporter.module import BUILT_IN
from exporter.networks import is_private
from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import answer, eventually, serving

LISTED = ("https://shop.example/a?b=1", "tcp://db:5432", "http://user:pw@intra.example/")


@pytest.mark.parametrize(
    ("target", "prober"),
    [
        ("https://shop.example/a?b=1", "http"),
        ("https://SHOP.example:443/a?b=1", "http"),
        ("http://intra.example/", "http"),
        ("tcp://db:5432", "tcp"),
        ("db:5432", "tcp"),
    ],
)
def test_what_is_listed_is_allowed(target: str, prober: str) -> None:
    assert AllowedTargets(LISTED, ()).allows(target, prober)


@pytest.mark.parametrize(
    ("target", "prober"),
    [
        ("http://shop.example/a?b=1", "http"),
        ("https://shop.example/a", "http"),
        ("https://shop.example:444/a?b=1", "http"),
        ("db:5433", "tcp"),
        ("http://db:5432/", "http"),
        ("http://169.254.169.254/latest/meta-data", "http"),
        ("file:///etc/passwd", "http"),
        ("gopher://db:5432/", "tcp"),
        ("", "http"),
        ("https://shop.example@evil.example/a?b=1", "http"),
    ],
)
def test_what_is_not_listed_is_refused(target: str, prober: str) -> None:
    assert not AllowedTargets(LISTED, ()).allows(target, prober)


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("https://api.example/v1", "https://api.example/v1/x?y", "https://api.example/v10"),
        ("https://api.example/v1", "https://api.example/v1", "http://api.example/v1"),
        ("https://api.example/v1", "https://api.example/v1?x", "https://api.example/v1/../admin"),
        ("https://api.example/v1/", "https://api.example/v1/x", "https://api.example/v1/%2e%2e/admin"),
        ("https://api.example", "https://api.example/any", "https://api.example.evil.example/any"),
        ("https://api.example/", "https://api.example/a/../b", "https://api.example@evil.example/"),
        ("*.example", "https://a.b.example/x", "https://example.evil/"),
        ("10.0.0.*:80", "http://10.0.0.7/", "http://10.0.0.7:8080/"),
        ("[fd00::1]", "http://[fd00::1]:99/", "http://[fd00::2]/"),
    ],
)
def test_patterns_allow_what_they_mean_and_no_more(pattern: str, allowed: str, refused: str) -> None:
    targets = AllowedTargets((), (pattern,))
    assert targets.allows(allowed, "http")
    assert not targets.allows(refused, "http")


def test_a_tcp_pattern_allows_one_port() -> None:
    targets = AllowedTargets((), ("tcp://db:5432",))
    assert targets.allows("db:5432", "tcp")
    assert not targets.allows("db:22", "tcp")


@pytest.mark.parametrize("text", ["", "not a host", "ftp://x/", "a/b", "http://"])
def test_a_wrong_pattern_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|lacks|is not"):
        parse_pattern(text)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1",
        "ff02::1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe", "no address",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_known(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_known(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.7/", "http://169.254.169.254/latest/meta-data", "http://127.0.0.1:9090/", "http://[::1]/",
        "http://[::ffff:169.254.169.254]/", "http://0x7f000001/", "http://2130706433/", "http://127.1/",
    ],
)  # fmt: skip
def test_a_wildcard_reaches_no_private_address(target: str) -> None:
    targets = AllowedTargets((), ("*",))
    barred = targets.barred(target, "http")
    key = target_key(target, "http")
    assert key is not None
    assert not targets.allows(target, "http") or barred(key.host, None, key.host)
    assert targets.allows("http://8.8.8.8/", "http")


@pytest.mark.parametrize(
    ("pattern", "target", "address", "reached"),
    [
        ("*.example", "http://a.example/", "10.0.0.7", False),
        ("*.example", "http://a.example/", "8.8.8.8", True),
        ("10.0.0.0/8", "http://a.example/", "10.0.0.7", True),
        ("10.0.0.0/8", "http://a.example/", "::ffff:10.0.0.7", True),
        ("10.0.0.0/8", "http://a.example/", "169.254.169.254", False),
        ("10.0.0.*", "http://a.example/", "10.0.0.7", True),
        ("10.0.0.*:80", "http://a.example/", "10.0.0.7", True),
        ("10.0.0.*:80", "http://a.example:81/", "10.0.0.7", False),
        ("fd00::/8", "http://a.example/", "fd00::7", True),
        ("*", "http://a.example/", "127.0.0.1", False),
        ("*.*", "http://a.example/", "127.0.0.1", False),
    ],
)
def test_a_name_leads_to_a_private_address_only_where_addresses_are_allowed(
    pattern: str, target: str, address: str, reached: bool
) -> None:
    barred = AllowedTargets((), ("*.example", pattern)).barred(target, "http")
    assert barred("a.example", None, address) is not reached


@pytest.mark.parametrize(
    ("listed", "patterns", "target"),
    [
        (("http://intra.example/",), (), "http://intra.example/"),
        ((), ("intra.example",), "http://intra.example:8080/x"),
        ((), ("http://intra.example/a",), "http://intra.example/a/b"),
        ((), ("*", "tcp://db:5432"), "http://db:5432/"),
    ],
)
def test_what_is_written_out_may_be_anywhere(
    listed: tuple[str, ...], patterns: tuple[str, ...], target: str
) -> None:
    own = target_key(target, "http")
    assert own is not None
    barred = AllowedTargets(listed, patterns).barred(target, "http")
    assert not barred(own.host, None, "10.0.0.7")
    assert not barred(own.host, own.port, "10.0.0.7")


@pytest.mark.parametrize(
    ("patterns", "place", "address", "followed"),
    [
        ((), ("shop.example", 443), "10.0.0.7", True),  # from 80 to 443 it is the same site
        ((), ("shop.example", 6379), "10.0.0.7", False),
        ((), ("shop.example", 6379), "8.8.8.8", True),
        ((), ("169.254.169.254", 80), "169.254.169.254", False),
        ((), ("www.example", 80), "10.0.0.8", False),
        ((), ("intra.example", 8080), "10.0.0.9", True),  # it is a site itself
        ((), ("intra.example", 80), "10.0.0.9", False),
        (("www.example",), ("www.example", 8443), "10.0.0.8", True),
        (("*.example",), ("www.example", 80), "10.0.0.8", False),
        (("http://www.example/a",), ("www.example", 80), "10.0.0.8", True),
        (("http://www.example/a",), ("www.example", 443), "10.0.0.8", False),
        (("10.0.0.8:80",), ("www.example", 80), "10.0.0.8", True),
        (("10.0.0.8:80",), ("www.example", 22), "10.0.0.8", False),
        (("10.0.0.0/8",), ("www.example", 22), "10.0.0.8", True),
    ],
)
def test_each_redirect_is_judged_by_its_own_host_and_port(
    patterns: tuple[str, ...], place: tuple[str, int], address: str, followed: bool
) -> None:
    listed = ("http://shop.example/", "http://intra.example:8080/")
    barred = AllowedTargets(listed, patterns).barred("http://shop.example/", "http")
    assert barred(*place, address) is not followed


def test_the_port_that_a_wildcard_is_bound_to_is_the_redirects_own() -> None:
    barred = AllowedTargets((), ("*.example", "10.0.0.*:80")).barred("http://a.example/", "http")
    assert not barred("b.example", 80, "10.0.0.7")
    assert barred("b.example", 22, "10.0.0.7")


def test_a_network_allows_its_addresses_and_no_names() -> None:
    targets = AllowedTargets((), ("10.0.0.0/8",))
    assert targets.allows("http://10.9.9.9:81/", "http")
    assert not targets.allows("http://11.0.0.1/", "http")
    assert not targets.allows("http://a.example/", "http")


def test_a_name_that_was_rebound_to_a_private_address_is_not_connected_to() -> None:
    """The name passes the pattern; what it leads to at the time of the probe does not."""

    async def test() -> tuple[Result, Result, Result, int]:
        met = 0

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal met
            met += 1
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        target = f"localhost:{port}"
        found = []
        async with server, Probers.start() as probers:
            for patterns in (("local*",), ("local*", "127.0.0.0/8", "[::1]"), ("localhost",)):
                barred = AllowedTargets((), patterns).barred(target, "tcp")
                module = BUILT_IN["tcp_connect"]
                found.append(await probers.probe(target, module, 5, barred=barred))
            await eventually(lambda: met == 2)
            await asyncio.sleep(0.01)
        return found[0], found[1], found[2], met

    rebound, allowed, written_out, met = asyncio.run(test())
    assert (rebound.success, rebound.reason) == (False, Reason.ERROR)
    assert "which is a private address: allow it with the key probe_targets" in rebound.detail
    assert allowed.success
    assert written_out.success
    assert met == 2


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async def test() -> tuple[Result, int]:
        met = 0

        async def redirect(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer("302 Found", b"", f"Location: http://127.0.0.2:{inner}/"))

        async def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal met
            met += 1
            writer.close()

        elsewhere = await asyncio.start_server(count, "127.0.0.2", 0)
        inner = elsewhere.sockets[0].getsockname()[1]
        async with elsewhere, serving(redirect) as outer:
            targets = AllowedTargets((), ("127.0.0.1*",))
            target = f"http://127.0.0.1:{outer}/"
            assert targets.allows(target, "http")
            async with Probers.start() as probers:
                barred = targets.barred(target, "http")
                return await probers.probe(target, BUILT_IN["http_2xx"], 5, barred=barred), met

    result, met = asyncio.run(test())
    assert (result.success, result.reason, met) == (False, Reason.ERROR, 0)
    assert "127.0.0.2 is a private address" in result.detail


@pytest.mark.parametrize("target", ["unix:///run/app.sock", "/run/app.sock"])
def test_a_socket_of_this_machine_is_allowed_only_as_a_site(target: str) -> None:
    assert AllowedTargets(("unix:///run/app.sock",), ()).allows(target, "unix")
    assert not AllowedTargets(LISTED, ("*", "https://shop.example/")).allows(target, "unix")
