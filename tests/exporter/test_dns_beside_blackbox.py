"""The same name servers asked by blackbox_exporter and by ours: the same samples, and our reasons."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import trustme

from benchmarks.faults.name_server import ODD, odd_server
from tests.exporter.beside import Beside, beside, without
from tests.exporter.name_servers import DIGEST, KEY, SERIAL, nsd
from tests.ports import free_port

pytestmark = pytest.mark.needs("prometheus-blackbox-exporter", "nsd")

TYPES = {
    "A": "many", "AAAA": "mail", "ANY": "", "MX": "", "NS": "", "SOA": "", "TXT": "", "CAA": "", "DNSKEY": "",
    "TLSA": "", "DS": "", "CNAME": "www", "SRV": "_sip._tcp",
}  # fmt: skip


TEXTS = {
    "A": "many.shop.test.\t300\tIN\tA\t192.0.2.4",
    "AAAA": "mail.shop.test.\t300\tIN\tAAAA\t2001:db8::1",
    "MX": "shop.test.\t300\tIN\tMX\t20 mail2.shop.test.",
    "SOA": f"shop.test.\t300\tIN\tSOA\tns.shop.test. hostmaster.shop.test. {SERIAL} 7200 900 1209600 300",
    "TXT": 'shop.test.\t300\tIN\tTXT\t"v=spf1 -all" "second \\"quoted\\" part"',
    "CAA": 'shop.test.\t300\tIN\tCAA\t0 issue "letsencrypt.org"',
    "DNSKEY": f"shop.test.\t300\tIN\tDNSKEY\t257 3 13 {KEY}",
    "TLSA": f"shop.test.\t300\tIN\tTLSA\t3 1 1 {DIGEST}",
    "CNAME": "www.shop.test.\t300\tIN\tCNAME\tmail.shop.test.",
    "SRV": "_sip._tcp.shop.test.\t300\tIN\tSRV\t1 2 5060 mail.shop.test.",
}
"""A record of each type, as patterns meet it."""


def named(name: str) -> str:
    return f"{name}.shop.test" if name else "shop.test"


def rules(**given: Any) -> dict[str, Any]:
    return {"query_name": "many.shop.test", "query_type": "A", "validate_answer_rrs": given}


OPTIONS: dict[str, dict[str, Any]] = {
    **{f"type_{kind}": {"query_name": named(name), "query_type": kind} for kind, name in TYPES.items()},
    **{
        f"text_{kind}": {
            "query_name": named(TYPES[kind]), "query_type": kind,
            "validate_answer_rrs": {"fail_if_none_matches_regexp": [f"^{re.escape(text)}$"]},
        }
        for kind, text in TEXTS.items()
    },
    "tcp": {"query_name": "shop.test", "query_type": "MX", "transport_protocol": "tcp"},
    "absent": {"query_name": "nosuch.shop.test", "query_type": "A"},
    "absent_wanted": {
        "query_name": "nosuch.shop.test", "query_type": "A", "valid_rcodes": ["NXDOMAIN", "SERVFAIL"],
    },
    "elsewhere": {"query_name": "elsewhere.test", "query_type": "A"},
    "serial_of_another": {"query_name": "mail.shop.test", "query_type": "SOA"},
    "chaos": {"query_name": "version.server", "query_type": "TXT", "query_class": "CH"},
    "not_recursive": {"query_name": "shop.test", "query_type": "A", "recursion_desired": False},
    "found": rules(fail_if_matches_regexp=[r"192\.0\.2\.4$"]),
    "not_found": rules(fail_if_matches_regexp=[r"192\.0\.2\.99", "nothing"]),
    "all_lack": rules(fail_if_not_matches_regexp=[r"192\.0\.2\.\d"]),
    "one_lacks": rules(fail_if_not_matches_regexp=[r"192\.0\.2\.[34]"]),
    "none_match": rules(fail_if_none_matches_regexp=[r"198\.51", r"203\.0"]),
    "some_match": rules(fail_if_none_matches_regexp=[r"198\.51", r"192\.0\.2\.4"]),
    "all_match": rules(fail_if_all_match_regexp=[r"192\.0\.2"]),
    "not_all_match": rules(fail_if_all_match_regexp=[r"192\.0\.2\.4"]),
    "empty_but_wanted": {**rules(fail_if_not_matches_regexp=["A"]), "query_type": "AAAA"},
    "empty_but_some_wanted": {**rules(fail_if_none_matches_regexp=["A"]), "query_type": "AAAA"},
    "authority": {
        "query_name": "mail.shop.test", "query_type": "AAAA",
        "validate_authority_rrs": {"fail_if_not_matches_regexp": [r"^shop\.test\.\t300\tIN\tNS\tns\.shop\."]},
    },
    "authority_found": {
        "query_name": "mail.shop.test", "query_type": "A",
        "validate_authority_rrs": {"fail_if_matches_regexp": ["ns.shop.test"]},
    },
    "additional": {
        "query_name": "shop.test", "query_type": "MX",
        "validate_additional_rrs": {"fail_if_matches_regexp": [r"2001:db8::1$"]},
    },
    **{f"udp_{odd}": {"query_name": f"{odd}.test", "query_type": "A"} for odd in ODD},
    **{
        f"tcp_{odd}": {"query_name": f"{odd}.test", "query_type": "A", "transport_protocol": "tcp"}
        for odd in ODD
    },
}  # fmt: skip
INVERTED = ("all_match", "not_all_match")
"""Its fail_if_all_match_regexp fails where not all records match; ours where all do."""
PLAIN = [name for name in OPTIONS if not name.startswith(("udp_", "tcp_")) and name not in INVERTED]

REASONS = {
    **dict.fromkeys(("good", "forged", "truncated", "options", "twice", "trailing"), ""),
    **dict.fromkeys(("refused", "servfail", "nxdomain", "badvers"), "status"),
    **dict.fromkeys(("garbage", "short", "cut", "another", "itself"), "protocol"),
    **dict.fromkeys(("silent", "numbered", "closed"), "timeout"),
}
OVER_TCP = REASONS | {"forged": "protocol", "numbered": "protocol", "closed": "reset"}
DIFFERENT = {
    "udp_another": "they take an answer to another question", "tcp_another": "the same",
    "udp_itself": "they take the question for its answer", "tcp_itself": "the same",
}  # fmt: skip


HANGING = tuple(odd for odd, reason in REASONS.items() if reason == "timeout")


class Servers(NamedTuple):
    both: Beside
    plain: str
    secure: str
    six: str
    odd: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder, authority = tmp_path_factory.mktemp("dns"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    secure = {
        "query_name": "shop.test",
        "query_type": "SOA",
        "transport_protocol": "tcp",
        "dns_over_tls": True,
    }
    options = OPTIONS | {
        "trusting": {**secure, "tls_config": {"ca_file": str(folder / "ca.pem")}},
        "named": {**secure, "tls_config": {"ca_file": str(folder / "ca.pem"), "server_name": "other.test"}},
        "distrusting": secure,
        "six_only": {
            "query_name": "shop.test",
            "preferred_ip_protocol": "ip6",
            "ip_protocol_fallback": False,
        },
    }
    modules = {
        name: {
            "prober": "dns",
            "timeout": "200ms" if name.endswith(HANGING) else "2s",
            "dns": {"preferred_ip_protocol": "ip4", **given},
        }
        for name, given in options.items()
    }
    with nsd(folder, authority) as (port, tls), odd_server() as odd, beside(folder, modules) as both:
        yield Servers(both, f"127.0.0.1:{port}", f"127.0.0.1:{tls}", f"[::1]:{port}", f"127.0.0.1:{odd}")


@pytest.mark.parametrize("module", PLAIN)
def test_a_name_server_gives_the_same_samples(servers: Servers, module: str) -> None:
    theirs, ours = servers.both.probe(module, servers.plain)
    assert ours == theirs
    if module.startswith("text_"):
        assert ours["probe_success{}"] == 1


def test_the_zone_s_serial_is_told(servers: Servers) -> None:
    assert servers.both.probe("type_SOA", servers.plain)[1]["probe_dns_serial{}"] == SERIAL


@pytest.mark.parametrize(("module", "theirs", "ours"), [("all_match", 1, 0), ("not_all_match", 0, 1)])
def test_fail_if_all_match_means_what_it_says_which_theirs_does_not(
    servers: Servers, module: str, theirs: int, ours: int
) -> None:
    found = servers.both.probe(module, servers.plain)
    assert [samples["probe_success{}"] for samples in found] == [theirs, ours]
    assert without(found[0], "probe_success") == without(found[1], "probe_success")


@pytest.mark.parametrize(
    ("module", "target"),
    [*((module, target) for module in ("six_only", "type_MX") for target in ("six", "six_bare", "plain")),
     ("type_MX", "named")],
)  # fmt: skip
def test_an_address_of_either_protocol_gives_the_same_samples(
    servers: Servers, module: str, target: str
) -> None:
    targets = {
        "six": servers.six,
        "six_bare": "::1",
        "plain": servers.plain,
        "named": f"localhost:{free_port()}",
    }
    theirs, ours = servers.both.probe(module, targets[target])
    if module == "six_only" and target == "plain":  # they do not say which protocol an unwanted address has
        theirs, ours = (without(samples, "probe_ip_") for samples in (theirs, ours))
    assert ours == theirs


@pytest.mark.parametrize("module", ["trusting", "named", "distrusting"])
def test_a_server_over_tls_gives_the_same_samples(servers: Servers, module: str) -> None:
    theirs, ours, reason = servers.both.judge(module, servers.secure)
    tls = without(ours, *(name.partition("{")[0] for name in theirs))
    assert without(ours, *tls) == theirs
    assert any(name.startswith("probe_ssl_earliest_cert_expiry") for name in tls)
    assert reason == ("" if module == "trusting" else "certificate")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_gives_the_same_samples_and_a_reason(
    servers: Servers, transport: str, odd: str
) -> None:
    module = f"{transport}_{odd}"
    theirs, ours, reason = servers.both.judge(module, servers.odd)
    if module in DIFFERENT:
        assert ours != theirs
    else:
        assert ours == theirs
    wanted = OVER_TCP if transport == "tcp" else REASONS
    assert reason == wanted[odd]


@pytest.mark.parametrize("module", ["udp_good", "tcp_good"])
def test_nobody_there_is_refused(servers: Servers, module: str) -> None:
    theirs, ours, reason = servers.both.judge(module, f"127.0.0.1:{free_port()}")
    assert ours == theirs
    assert reason == "refused"
