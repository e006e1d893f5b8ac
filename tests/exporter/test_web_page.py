"""The page, the steps behind it, badges and discovery: what people and Prometheus read."""

import json
import re
import time
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from exporter.history import History
from exporter.module import Module
from exporter.probers import ProbeLog
from exporter.probers.prober import LONGEST_LOG
from exporter.reason import Reason
from exporter.result import HTTPFacts, Result
from exporter.state import SiteState
from exporter.watched import WatchedSite
from exporter.web.badge import badge, uptime
from exporter.web.page import page
from tests.exporter.running import Exporter, exporter, site
from tests.prometheus_server import prometheus_server
from tests.waiting import until

HOSTILE = "<script>alert(1)</script>\"'&{x}"
MODULE = Module(prober="http")


def result(success: bool = True, **facts: Any) -> Result:
    reason = None if success else Reason.STATUS
    return Result(success, reason, "" if success else "answered 500", 1.0, 0.01, prober="http", **facts)


def watched(name: str = "shop", instance: str = "http://a/") -> WatchedSite:
    info = (("group", "main"),)
    return WatchedSite(name, instance, "http://a/", MODULE, 10, 5, 60, None, 0.999, info)


class Read(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def asked(history: History, success: bool, target: str = "http://a/", name: str = "http_2xx") -> int:
    return history.on_demand(name, MODULE, target, result(success), ProbeLog()).id


def test_failures_are_kept_beyond_the_limit_of_successes() -> None:
    history = History(limit=3)
    failed = [asked(history, success=False) for _ in range(2)]
    good = [asked(history, success=True) for _ in range(10)]
    assert [record.id for record in history.newest_first()] == [*reversed(good[-3:]), *reversed(failed)]
    assert history.record(good[0]) is None
    failed.extend([asked(history, success=False) for _ in range(10)])
    assert [record.id for record in history.newest_first()] == list(reversed(failed[-6:]))


def test_failures_of_sites_push_no_probe_on_demand_out() -> None:
    history = History(limit=2)
    wanted = asked(history, success=True)
    for _ in range(100):
        history.failure_of("shop", MODULE, "http://a/", result(success=False), None)
    assert history.record(wanted) is not None
    assert len(history.newest_first()) == 3


def test_a_limit_of_none_keeps_nothing() -> None:
    history = History(limit=0)
    asked(history, success=False)
    history.failure_of("shop", MODULE, "http://a/", result(success=False), None)
    assert history.newest_first() == []


def test_a_hostile_sites_steps_take_no_more_room_than_they_may() -> None:
    history = History(limit=10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(40):
            log = ProbeLog()
            for step in range(500):
                log.add("Redirected", to=f"http://{number}.{step}/" + "x" * 5000)
            history.on_demand("http_2xx", MODULE, "http://a/", result(success=False), log)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept / 20 < 2 * LONGEST_LOG


def test_the_log_of_a_probe_is_one_line_a_step_whatever_a_site_sends() -> None:
    log = ProbeLog()
    log.add("Redirected", to="http://a/\nProbe succeeded duration=1", status=302)
    assert log.lines == ['Redirected to="http://a/\\nProbe succeeded duration=1" status=302']
    assert re.fullmatch(r"time=\d{4}-\S+Z Redirected .*", log.dated_lines[0])


def test_hostile_names_and_targets_are_only_text_on_the_page() -> None:
    history = History()
    asked(history, success=False, target=HOSTILE, name=HOSTILE)
    history.failure_of(HOSTILE, MODULE, HOSTILE, result(success=False), None)
    state = SiteState(watched(HOSTILE, HOSTILE))
    state.record(result(success=False)._replace(detail=HOSTILE))
    text = page([state], history.newest_first())
    read = Read()
    read.feed(text)
    assert read.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "h1",
        "h2",
        "p",
        "a",
        "table",
        "tr",
        "th",
        "td",
        "strong",
    }
    assert read.attributes <= {"lang", "charset", "href"}
    assert sum(HOSTILE in piece for piece in read.texts) == 7


def test_the_page_of_ten_thousand_sites_is_quick() -> None:
    states = [SiteState(watched(f"s-{number}")) for number in range(10_000)]
    began = time.perf_counter()
    text = page(states, ())
    assert time.perf_counter() - began < 0.2
    assert "9500 more in" in text


def test_a_badge_is_safe_svg_that_tells_the_state_and_the_uptime() -> None:
    state = SiteState(watched(HOSTILE))
    assert "unknown" in badge(state, time.monotonic())
    for success in (True, True, True, False):
        state.record(result(success))
    text = badge(state, time.monotonic())
    root = ET.fromstring(text)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {
        "svg",
        "title",
        "rect",
        "g",
        "text",
    }
    assert root.attrib["aria-label"] == f"{HOSTILE}: down · 75 %"
    state.record(result())
    assert "up · 80 %" in badge(state, time.monotonic())
    assert "stale · 80 %" in badge(state, time.monotonic() + 1000)


def test_an_uptime_is_never_rounded_up_to_all() -> None:
    state = SiteState(watched())
    state.probes, state.successes = 1_000_000, 999_999
    assert uptime(state) == "99.999 %"
    state.successes = 1_000_000
    assert uptime(state) == "100 %"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    with site() as told:
        told.status = 500
        sites = [
            {"name": "shop", "url": f"{told.url}?token=heimlich", "interval": "200ms", "group": "main"},
            {"name": "far off", "url": "tcp://127.0.0.1:1", "interval": "1h"},
        ]
        configuration = {"sites": sites, "probe_targets": ["127.0.0.1:*"]}
        with exporter(tmp_path_factory.mktemp("shared"), configuration) as running:
            until(lambda: running.metric("sitemedic_probes_total", site="shop") >= 3, 10, "three probes")
            yield running


def test_a_failing_sites_steps_are_behind_the_page(shared: Exporter) -> None:
    text = shared.get("/").text
    assert "heimlich" not in text
    found = re.search(r"site shop</td><td>([^<]+)</td><td><strong>Failure</strong> \(status\)</td>"
                      r'<td><a href="logs\?id=(\d+)"', text)  # fmt: skip
    assert found is not None
    log = shared.get("/logs", id=found[2])
    assert (log.headers["X-Content-Type-Options"], log.headers["Content-Type"]) == (
        "nosniff",
        "text/plain; charset=utf-8",
    )
    assert "Made an HTTP request method=GET" in log.text
    assert 'sitemedic_probe_failure{reason="status"} 1' in log.text
    assert "Module configuration:\nprober: http" in log.text
    assert "heimlich" not in log.text


@pytest.mark.parametrize(
    ("number", "status"), [("", 400), ("x", 400), ("-1", 400), ("9" * 30, 400), ("99999", 404)]
)
def test_a_probe_that_is_not_kept_is_an_error(shared: Exporter, number: str, status: int) -> None:
    assert requests.get(f"{shared.url}/logs", {"id": number}, timeout=5).status_code == status


def test_a_badge_says_how_long_it_may_be_kept(shared: Exporter) -> None:
    first = shared.get("/badge/far off.svg")
    assert first.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert first.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert shared.get("/badge/shop.svg").headers["Cache-Control"] == "public, max-age=1, must-revalidate"
    headers = {"If-None-Match": first.headers["ETag"]}
    again = requests.get(f"{shared.url}/badge/far off.svg", headers=headers, timeout=5)
    assert (again.status_code, again.content) == (304, b"")
    missing = requests.get(f"{shared.url}/badge/nothing.svg", timeout=5)
    assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "no-store")


def test_config_tells_the_sites_without_their_secrets(shared: Exporter) -> None:
    told = yaml.safe_load(shared.get("/config").text)
    assert [one["name"] for one in told["sites"]] == ["shop", "far off"]
    assert "heimlich" not in json.dumps(told)


@pytest.mark.needs("prometheus")
def test_prometheus_discovers_the_sites(shared: Exporter, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: sites\n"
        "    metrics_path: /probe\n"
        f"    http_sd_configs: [{{url: '{shared.url}/sd', refresh_interval: 1s}}]\n"
        "    relabel_configs:\n"
        "      - {source_labels: [__meta_sitemedic_site], target_label: __param_site}\n"
        "      - {source_labels: [__meta_sitemedic_site], target_label: site}\n"
        "      - {source_labels: [__address__], target_label: instance}\n"
        f"      - {{target_label: __address__, replacement: '{shared.url.removeprefix('http://')}'}}\n"
    )
    with prometheus_server(config, tmp_path / "data") as prometheus:
        until(lambda: len(prometheus.query("probe_success")) == 2, 20, "both sites")
        found = {
            one["metric"]["site"]: one["metric"]["instance"] for one in prometheus.query("probe_success")
        }
    assert found["far off"] == "tcp://127.0.0.1:1"
    assert set(found) == {"shop", "far off"}
    group = shared.get("/sd").json()[0]
    assert group["labels"]["__meta_sitemedic_group"] == "main"
    assert "heimlich" not in json.dumps(group)


def test_facts_are_kept_as_they_were() -> None:
    history = History()
    kept = history.on_demand(
        "http_2xx", MODULE, "http://a/", result(facts=HTTPFacts(status_code=204)), ProbeLog()
    )
    assert "probe_http_status_code 204\n" in kept.text()
