import asyncio
import subprocess
import zlib
from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition import gzipped, pieces, probe_text
from exporter.health import Health
from exporter.module import BUILT_IN
from exporter.probers.query_response import DialogFacts
from exporter.reason import Reason
from exporter.result import HTTPFacts, Phases, Result, TLSFacts
from exporter.state import SiteState
from exporter.watched import WatchedSite
from stack.programs import find_program
from tests.exporter.loopback import run

GOOD = Result(
    True, None, "", 1_760_000_000.0, 0.123, Phases(0.001, 0.002, 0.01, 0.1, 0.01), 0.001, 4, 1234, "http",
    facts=HTTPFacts(200, 2.0, 1, True, -1, 512, 1_750_000_000.0),
    tls=TLSFacts("TLS 1.3", "TLS_AES_128_GCM_SHA256", 1_790_000_000.0, 7_776_000.0),
)  # fmt: skip
REFUSED = Result(
    False, Reason.REFUSED, "connection refused", 1_760_000_000.0, 0.001, prober="tcp", facts=DialogFacts()
)
WRONG = Result(
    False, Reason.STATUS, "answered 500", 1_760_000_000.0, 0.5, prober="http", facts=HTTPFacts(500, 1.1)
)


def state(
    name: str, *results: Result, within: float | None = None, objective: float = 0.999, **info: str
) -> SiteState:
    labels = {"part_of": name, "severity": "critical", **info}
    url = f"http://{name}.example/"
    module, fixed = BUILT_IN["http_2xx"], tuple(labels.items())
    site = WatchedSite(name, url, url, module, 15.0, 5.0, 30.0, within, objective, fixed)
    made = SiteState(site)
    for result in results:
        made.record(result)
    return made


def exposition(states: Sequence[SiteState]) -> str:
    async def joined() -> bytes:
        return b"".join([piece async for piece in pieces(states)])

    return run(joined()).decode()


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return {sample name: {labels without site and instance: value}}."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(
                sorted(item for item in sample.labels.items() if item[0] not in ("site", "instance"))
            )
            assert labels not in found.setdefault(sample.name, {}), f"{sample.name}{labels} is there twice"
            found[sample.name][labels] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get(name, {}).get(tuple(sorted(labels.items())))


def test_a_good_http_probe_is_told_under_blackbox_exporters_names() -> None:
    text = exposition([state("shop", GOOD)])
    assert value(text, "probe_success") == 1
    assert value(text, "probe_duration_seconds") == 0.123
    assert value(text, "probe_http_status_code") == 200
    assert value(text, "probe_http_version") == 2
    assert value(text, "probe_http_redirects") == 1
    assert value(text, "probe_http_ssl") == 1
    assert value(text, "probe_http_content_length") == -1
    assert value(text, "probe_http_duration_seconds", phase="processing") == 0.1
    assert value(text, "probe_ssl_earliest_cert_expiry") == 1_790_000_000
    assert value(text, "sitemedic_certificate_lifetime_seconds") == 7_776_000
    assert value(text, "probe_tls_version_info", version="TLS 1.3") == 1
    assert value(text, "probe_ip_protocol") == 4
    assert value(text, "probe_failed_due_to_regex") == 0


def test_the_reason_is_a_series_only_while_the_last_probe_failed() -> None:
    failing = exposition([state("shop", GOOD, WRONG, REFUSED)])
    assert samples(failing)["sitemedic_probe_failure"] == {(("reason", "refused"),): 1}
    assert samples(failing)["sitemedic_probe_failures_total"] == {
        (("reason", "status"),): 1,
        (("reason", "refused"),): 1,
    }
    again = exposition([state("shop", REFUSED, GOOD)])
    assert "sitemedic_probe_failure" not in samples(again)
    assert value(again, "sitemedic_probe_failures_total", reason="refused") == 1
    assert value(again, "sitemedic_failing_since_timestamp_seconds") == 0


def test_probes_without_successes_are_the_failures_of_every_reason() -> None:
    found = samples(exposition([state("shop", GOOD, WRONG, GOOD, REFUSED, GOOD, WRONG)]))
    assert found["sitemedic_probes_total"] == {(): 6}
    assert found["sitemedic_probe_successes_total"] == {(): 3}
    assert sum(found["sitemedic_probe_failures_total"].values()) == 3


def test_a_site_tells_its_objective() -> None:
    assert value(exposition([state("shop", objective=0.9995)]), "sitemedic_site_objective_ratio") == 0.9995


def test_before_its_first_result_a_site_tells_only_what_is_known() -> None:
    found = samples(exposition([state("shop")]))
    assert found["sitemedic_probes_total"] == {(): 0}
    assert found["sitemedic_probe_successes_total"] == {(): 0}
    assert "sitemedic_probe_failures_total" not in found
    assert found["sitemedic_site_interval_seconds"] == {(): 15}
    assert found["sitemedic_site_alert_after_seconds"] == {(): 30}
    absent = (
        "probe_success",
        "sitemedic_failing_since_timestamp_seconds",
        "sitemedic_last_probe_timestamp_seconds",
        "sitemedic_last_success_timestamp_seconds",
        "sitemedic_site_within_seconds",
    )
    assert not [name for name in absent if name in found]


def test_slow_since_is_there_only_for_sites_with_within() -> None:
    assert "sitemedic_slow_since_timestamp_seconds" not in samples(exposition([state("shop", GOOD)]))
    text = exposition([state("shop", GOOD, within=0.1)])
    since = value(text, "sitemedic_slow_since_timestamp_seconds")
    assert since is not None
    assert since > 0
    assert value(text, "sitemedic_site_within_seconds") == 0.1
    quick = exposition([state("shop", GOOD, within=0.5)])
    assert value(quick, "sitemedic_slow_since_timestamp_seconds") == 0


def test_the_histogram_is_cumulative_and_counts_every_probe() -> None:
    text = exposition([state("shop", GOOD, WRONG, REFUSED)])
    assert value(text, "sitemedic_probe_latency_seconds_bucket", le="0.05") == 1
    assert value(text, "sitemedic_probe_latency_seconds_bucket", le="0.25") == 2
    assert value(text, "sitemedic_probe_latency_seconds_bucket", le="+Inf") == 3
    assert value(text, "sitemedic_probe_latency_seconds_count") == 3
    assert value(text, "sitemedic_probe_latency_seconds_sum") == pytest.approx(0.624)


def test_labels_are_escaped() -> None:
    odd = 'a "quoted" \\ back\nline'
    text = exposition([state("shop", GOOD, team=odd)])
    (labels,) = samples(text)["sitemedic_site_info"]
    assert dict(labels)["team"] == odd


def test_each_family_stands_together_and_once_with_thousands_of_sites() -> None:
    text = exposition([state(f"site-{n}", GOOD if n % 2 else REFUSED) for n in range(600)])
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    families = list(text_string_to_metric_families(text))
    assert len(families) == len(types)
    success = next(family for family in families if family.name == "probe_success")
    assert len(success.samples) == 600
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


def test_the_loop_turns_between_pieces() -> None:
    async def test() -> tuple[int, int]:
        states = [state(f"site-{n}", GOOD) for n in range(2000)]
        turns, largest = 0, 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        async for piece in pieces(states):
            largest = max(largest, len(piece))
        turning.cancel()
        return turns, largest

    turns, largest = run(test())
    assert turns > 100
    assert largest < 256 * 1024


def test_the_gzipped_exposition_is_the_same() -> None:
    states = [state(f"site-{n}", GOOD) for n in range(300)]

    async def packed() -> bytes:
        return b"".join([piece async for piece in gzipped(pieces(states))])

    assert zlib.decompress(run(packed()), 31).decode() == exposition(states)


def test_probe_answers_without_labels_of_a_site() -> None:
    text = probe_text(GOOD)
    assert "probe_success 1\n" in text
    assert 'probe_http_duration_seconds{phase="tls"} 0.010000\n' in text
    assert 'probe_tls_cipher_info{cipher="TLS_AES_128_GCM_SHA256"} 1\n' in text
    assert samples(text)["probe_http_status_code"] == {(): 200}
    assert "sitemedic" not in text


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_wrong() -> None:
    text = exposition([state("shop", GOOD, WRONG, GOOD, within=0.1), state("db", REFUSED)])
    done = subprocess.run(
        [str(find_program("promtool")), "check", "metrics"],
        input=text + Health().text().decode(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
