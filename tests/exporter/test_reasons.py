"""docs/reasons.md: every behaviour of its tables happens, with real servers, and has that reason."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.table import SUCCEEDS, TableError, read
from benchmarks.faults.world import BEHAVIOURS, PROTOCOLS, Opened, elsewhere, opened
from exporter.exposition import probe_text
from exporter.labels import Labels
from exporter.lines import HEADERS, history_lines, result_lines
from exporter.module import Module
from exporter.probe import Probers
from exporter.result import Result
from exporter.state import BUCKETS, SiteState
from exporter.watched import WatchedSite
from tests.exporter import pinged_network
from tests.exporter.loopback import run

SOON, AT_LAST = 3.0, 30.0
"""Seconds for a behaviour that only the timeout ends, and for one that ends by itself."""
AT_ONCE = 25

Found = dict[str, Result]


async def probe_all(found: dict[str, Opened]) -> Found:
    turn = asyncio.Semaphore(AT_ONCE)

    async def probe(name: str, probers: Probers) -> Result:
        async with turn:
            one, seconds = found[name], AT_LAST if BEHAVIOURS[name].ends else SOON
            return await probers.probe(one.target, Module.model_validate(one.module), seconds)

    async with Probers.start() as probers:
        results = await asyncio.gather(*(probe(name, probers) for name in found))
    return dict(zip(found, results, strict=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    with elsewhere(1, tmp_path_factory.mktemp("faults")) as happening:
        yield run(probe_all(happening))


def said(results: Found, protocol: str) -> dict[str, str]:
    return {
        name: str(result.reason or SUCCEEDS) for name, result in results.items()
        if name.startswith(f"{protocol}.")
    }  # fmt: skip


def test_every_behaviour_has_a_row_and_every_row_a_behaviour():
    assert set(read()) == set(BEHAVIOURS)


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "icmp"])
def test_each_behaviour_has_the_reason_that_the_table_says(found: Found, protocol: str):
    wanted = {name: reason for name, reason in read().items() if name.startswith(f"{protocol}.")}
    assert said(found, protocol) == wanted


@pinged_network.needs_pings
def test_each_behaviour_of_this_machine_to_pings_has_its_reason(found: Found):
    wanted = {name: reason for name, reason in read().items() if name in said(found, "icmp")}
    assert len(wanted) >= 4
    assert said(found, "icmp") == wanted


@pytest.mark.needs("unshare", "setpriv", "ip", "nsenter")
def test_each_behaviour_of_other_machines_to_pings_has_its_reason():
    with opened(1, lambda name: not BEHAVIOURS[name].here) as far:
        pings = [(one.target, one.module["icmp"]) for one in far.values()]
    told = pinged_network.elsewhere(pings, pinged_network.NETWORK)
    table = read()
    assert {name: reason for name, (_, reason, _) in zip(far, told, strict=True)} == {
        name: table[name] for name in far
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("| `a` | does it | `nonsense` |", "line 2"),
        ("| `a` | does it | |", "line 2"),
        ("| `a` | does it | `reset` |\n| `a` | does it | `dns` |", "line 3"),
    ],
)
def test_a_row_that_says_no_reason_is_told(tmp_path: Path, row: str, words: str):
    page = tmp_path / "reasons.md"
    page.write_text(f"## Answers: `http.*`\n{row}\n")
    with pytest.raises(TableError) as error:
        read(page)
    assert words in str(error.value)


def test_a_failure_has_one_sentence_of_bearable_length(found: Found):
    for name, result in found.items():
        assert result.success == (result.reason is None), name
        assert result.success == (result.detail == ""), name
        assert len(result.detail) <= 300, name
        assert "\n" not in result.detail, name


def test_a_bad_certificate_still_tells_when_it_ends(found: Found):
    shown = {
        name: result.tls for name, result in found.items() if ".certificate-" in name.replace("tls-", "")
    }
    assert len(shown) == 20
    for name, tls in shown.items():
        assert tls is not None, name
        assert tls.earliest_expiry is not None, name
        assert (tls.earliest_expiry < found[name].time) == ("expired" in name), name


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("http.queue-full", "connect"),
        ("https.queue-full", "connect"),
        ("https.hangs-in-handshake", "tls"),
        ("tls.hangs-in-handshake-dialog", "tls"),
        ("http.hangs", "processing"),
        ("https.hangs", "processing"),
        ("grpc.hangs", "processing"),
        ("tcp.silent", "processing"),
        ("unix.silent", "processing"),
        ("dns.udp-silent", "processing"),
        ("http.drips-body", "transfer"),
        ("https.drips-body", "transfer"),
    ],
)
def test_the_phase_in_which_a_site_hangs_has_the_time(found: Found, name: str, phase: str):
    phases = found[name].phases
    assert getattr(phases, phase) == max(phases), phases
    assert getattr(phases, phase) > 0.5 * SOON


def test_no_phase_is_beyond_the_probe(found: Found):
    for name, result in found.items():
        assert min(result.phases) >= 0, name
        assert sum(result.phases) <= result.duration + 0.01, name


def test_what_is_told_of_each_behaviour_can_be_read_by_prometheus(found: Found):
    labels = Labels(site="shop", instance="x")
    for name, result in found.items():
        assert list(text_string_to_metric_families(probe_text(result))), name
        lines = zip(HEADERS, result_lines(result, labels), strict=False)
        families = text_string_to_metric_families("".join(header + line for header, line in lines if line))
        values = [sample.value for family in families for sample in family.samples]
        assert not any(math.isinf(value) for value in values), name


def test_counters_and_histogram_count_every_probe(found: Found):
    site = WatchedSite("shop", "x", "http://x/", Module(prober="http"), 15.0, 5.0, 30.0, None, 0.999, ())
    state = SiteState(site)
    for result in found.values():
        state.record(result)
    text = "".join(history_lines(state, Labels(site="shop")))
    samples = {
        (sample.name, sample.labels.get("reason"), sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    failed = [result for result in found.values() if not result.success]
    reasons = {str(result.reason) for result in failed}
    counted = {reason: samples["sitemedic_probe_failures_total", reason, None] for reason in reasons}
    assert counted == {reason: sum(result.reason == reason for result in failed) for reason in reasons}
    assert samples["sitemedic_probes_total", None, None] == len(found)
    assert samples["sitemedic_probe_successes_total", None, None] == len(found) - len(failed)
    for bound in BUCKETS:
        within = sum(result.duration <= bound for result in found.values())
        assert samples["sitemedic_probe_latency_seconds_bucket", None, repr(bound)] == within
    assert samples["sitemedic_probe_latency_seconds_count", None, None] == len(found)
