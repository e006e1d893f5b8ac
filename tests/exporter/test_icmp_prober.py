import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.labels import Labels
from exporter.module import Module
from exporter.probe import Probers
from exporter.probers import ProbeLog
from exporter.probers.icmp import lines
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import probed, run
from tests.exporter.pinged_network import NETWORK, RANGE, elsewhere, needs_pings


def icmp_module(**options: Any) -> Module:
    return Module.model_validate({"prober": "icmp", "icmp": options})


@needs_pings
@pytest.mark.parametrize("target", ["127.0.0.1", "::1", "icmp://127.0.0.1", "icmp://[::1]/", "localhost"])
def test_a_host_that_replies_is_a_success(target: str):
    result = run(probed(target, icmp_module()))
    assert result.success, result.detail
    assert result.prober == "icmp"
    assert result.facts.hop_limit == 64  # type: ignore[attr-defined]
    assert 0 < result.phases.processing < 0.1
    assert result.phases.connect > 0
    assert (result.phases.resolve > 0) is (target == "localhost")


@needs_pings
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    "options", [{"payload_size": 1}, {"payload_size": 9000}, {"dont_fragment": True}, {"ttl": 1}]
)
def test_each_option_still_gets_its_reply(address: str, options: dict[str, Any]):
    assert run(probed(address, icmp_module(**options))).success


@needs_pings
def test_many_pings_at_once_each_get_their_own_reply():
    async def test() -> list[Result]:
        async with Probers.start() as probers:
            pings = (probers.probe(("127.0.0.1", "::1")[at % 2], icmp_module(), 5) for at in range(300))
            return await asyncio.gather(*pings)

    assert all(result.success for result in run(test()))


@needs_pings
def test_the_source_address_must_be_ones_own():
    assert run(probed("127.0.0.1", icmp_module(source_ip_address="127.0.0.9"))).success
    result = run(probed("127.0.0.1", icmp_module(source_ip_address="192.0.2.250")))
    assert (result.reason, "Cannot assign" in result.detail) == (Reason.ERROR, True)


@pytest.mark.parametrize("target", ["http://127.0.0.1", "host:80", "host/path", "me:hunter2@host", "a b"])
def test_what_is_no_host_is_an_error_that_shows_no_secret(target: str):
    result = run(probed(target, icmp_module()))
    assert result.reason is Reason.ERROR
    assert "hunter2" not in result.detail


def test_an_unknown_name_is_a_dns_failure():
    assert run(probed("no-such-host.invalid", icmp_module())).reason is Reason.DNS


@pytest.mark.parametrize(
    "options", [{"ttl": 256}, {"ttl": -1}, {"payload_size": -1}, {"payload_size": 65508}]
)
def test_a_number_that_fits_no_packet_is_refused(options: dict[str, int]):
    with pytest.raises(ValidationError):
        icmp_module(**options)


@needs_pings
def test_the_metrics_and_the_log_tell_of_the_reply():
    log = ProbeLog()
    result = run(probed("127.0.0.1", icmp_module(), log=log))
    durations, hops = lines(result, Labels())
    assert [line.split()[0] for line in durations.splitlines()] == [
        f'probe_icmp_duration_seconds{{phase="{phase}"}}' for phase in ("resolve", "setup", "rtt")
    ]
    assert hops == "probe_icmp_reply_hop_limit 64\n"
    assert log.lines[0].startswith("Pinging to=127.0.0.1 socket=")


@pytest.mark.needs("unshare", "setpriv", "ip")
def test_where_neither_socket_is_allowed_the_error_says_what_to_allow():
    ((success, reason, detail),) = elsewhere([("127.0.0.1", {})])
    assert (success, reason) == (False, "error")
    assert RANGE in detail
    assert "CAP_NET_RAW" in detail


OUTCOMES: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("127.0.0.1", {}, None, ""),
    ("::1", {"payload_size": 100, "dont_fragment": True}, None, ""),
    ("10.9.0.2", {}, None, ""),
    ("10.9.0.2", {"dont_fragment": True, "payload_size": 3000}, "error", "too large"),
    ("10.9.0.77", {}, "timeout", "no reply in time"),
    ("198.51.100.1", {}, "refused", "prohibited"),
    ("203.0.113.1", {}, "timeout", "host unreachable"),
    ("10.8.0.1", {"ttl": 1}, "timeout", "ttl was used up"),
    ("2001:db8::1", {}, "error", "no route"),
]
"""Of ping sockets in `NETWORK`; the process has no right but that its group is allowed."""


@pytest.fixture(scope="module")
def told() -> list[list[Any]]:
    return elsewhere([(target, options) for target, options, _, _ in OUTCOMES], NETWORK)


@pytest.mark.needs("unshare", "setpriv", "ip", "nsenter")
@pytest.mark.parametrize(
    "at", range(len(OUTCOMES)), ids=[f"{target}-{words}" for target, *_, words in OUTCOMES]
)
def test_a_ping_socket_needs_no_right_and_what_a_router_says_is_told(told: list[list[Any]], at: int):
    _, _, reason, words = OUTCOMES[at]
    _, found, detail = told[at]
    assert (found, words in detail) == (reason, True), detail
