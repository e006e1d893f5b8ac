import asyncio
import random
import socket
from typing import Any

import dns.message
import pytest
import uvloop

from benchmarks.faults.name_server import ODD, odd_server
from exporter.module import Module
from exporter.probe import Probers
from exporter.probers.dns import Question, parse_question
from exporter.probers.dns_options import DNSOptions
from exporter.reason import Reason
from exporter.target import TargetError
from tests.exporter.loopback import open_files, probed, run

GARBLED = 500


def dns_module(**options: Any) -> Module:
    return Module.model_validate({"prober": "dns", "dns": {"preferred_ip_protocol": "ip4", **options}})


@pytest.mark.parametrize(
    ("target", "options", "question"),
    [
        ("192.0.2.53", {}, ("192.0.2.53", 53, "shop.test", "ANY")),
        ("192.0.2.53", {"dns_over_tls": True}, ("192.0.2.53", 853, "shop.test", "ANY")),
        ("ns.test:5353", {"query_type": "mx"}, ("ns.test", 5353, "shop.test", "MX")),
        ("2001:db8::53", {}, ("2001:db8::53", 53, "shop.test", "ANY")),
        ("[2001:db8::53]:54", {}, ("2001:db8::53", 54, "shop.test", "ANY")),
        ("dns://192.0.2.53", {}, ("192.0.2.53", 53, "shop.test", "ANY")),
        ("dns://[2001:db8::53]/a.test?type=aaaa", {}, ("2001:db8::53", 53, "a.test", "AAAA")),
        ("dns://ns.test:54/b.test", {"query_type": "A"}, ("ns.test", 54, "b.test", "A")),
    ],
)
def test_a_target_says_whom_to_ask_and_may_say_what(
    target: str, options: dict[str, Any], question: tuple[str, int, str, str]
):
    assert parse_question(target, DNSOptions(query_name="shop.test", **options)) == Question(*question)


@pytest.mark.parametrize(
    "target", ["", "tcp://ns.test", "me:hunter2@ns.test", "ns.test:99999", "dns:///a.test"]
)
def test_what_is_no_name_server_is_refused_without_its_password(target: str):
    with pytest.raises(TargetError) as refusal:
        parse_question(target, DNSOptions(query_name="shop.test"))
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("127.0.0.1:1", "names nothing to ask for"),
        ("dns://127.0.0.1:1/a.test?type=NOSUCH", "cannot be asked for"),
        (f"dns://127.0.0.1:1/{'a' * 64}.test", "cannot be asked for"),
    ],
)
def test_what_cannot_be_asked_for_is_an_error_of_ours(target: str, words: str):
    result = run(probed(target, dns_module()))
    assert result.reason is Reason.ERROR
    assert words in result.detail


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"query_type": "NOSUCH"}, "type of record"),
        ({"query_class": "NOSUCH"}, "class such as IN"),
        ({"valid_rcodes": ["NOSUCH"]}, "response codes"),
        ({"validate_answer_rrs": {"fail_if_matches_regexp": ["(a"]}}, "RE2"),
    ],
)
def test_wrong_options_are_told_when_the_file_is_read(options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        dns_module(**options)


def test_an_unknown_name_server_is_a_dns_failure():
    assert run(probed("nosuch.invalid", dns_module(query_name="a.test"))).reason is Reason.DNS


def test_garbled_answers_are_judged_and_none_breaks_the_prober(monkeypatch: pytest.MonkeyPatch):
    chance = random.Random(7)

    def garbled(query: dns.message.Message) -> list[bytes | None]:
        (wire,) = ODD[chance.choice(("good", "twice", "truncated", "options"))](query)
        assert wire is not None
        answer = bytearray(wire)
        for _ in range(chance.randint(1, 6)):
            answer[chance.randrange(2, len(answer))] = chance.randrange(256)
        return [bytes(answer[: chance.randint(3, len(answer))] if chance.random() < 0.2 else answer)]

    monkeypatch.setitem(ODD, "garbled", garbled)
    faults: list[None] = []

    async def test(target: str) -> set[Reason | None]:
        module = dns_module(query_name="garbled.test", valid_rcodes=["NOERROR"])
        async with Probers.start() as probers:
            probers._on_fault = lambda: faults.append(None)
            descriptors = open_files()
            found = {(await probers.probe(target, module, 5)).reason for _ in range(GARBLED)}
            assert open_files() <= descriptors + 2
        return found

    with odd_server() as port:
        found = run(test(f"127.0.0.1:{port}"))
    assert not faults
    assert found <= {None, Reason.STATUS, Reason.PROTOCOL}
    assert len(found) == 3


def test_a_question_that_is_cancelled_at_any_moment_leaves_no_socket_open():
    async def cancelled(silent: str) -> None:
        module = dns_module(query_name="a.test")
        async with Probers.start() as probers:
            await asyncio.gather(*(probers.probe(silent, module, 0.1) for _ in range(3)))
            before = open_files()
            for seconds in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.05):
                asking = [asyncio.create_task(probers.probe(silent, module, 10)) for _ in range(50)]
                await asyncio.sleep(seconds)
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)
                await asyncio.sleep(0.05)
                assert open_files() == before

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        uvloop.run(cancelled(f"127.0.0.1:{silent.getsockname()[1]}"))
