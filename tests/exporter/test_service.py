import gzip
import json
import signal
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.running import Exporter, Site, exporter, site, write
from tests.prometheus_server import prometheus_server
from tests.waiting import until

JSON = {"Accept": "application/json"}


def one_site(told: Site, **keys: Any) -> dict[str, Any]:
    return {"sites": [{"name": "shop", "url": told.url, "interval": "200ms", **keys}]}


def test_an_outage_is_seen_with_its_reason_and_its_end(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told, expect={"body": "Welcome"})) as running:
        until(lambda: running.site("shop")["success"], 5, "a first success")
        assert running.site("shop")["failing_since"] is None
        told.status = 500
        until(lambda: running.site("shop")["success"] is False, 5, "the failure")
        first = running.site("shop")
        assert (first["reason"], first["status_code"], first["detail"]) == ("status", 500, first["detail"])
        assert "500" in first["detail"]
        told.status, told.body = 200, "Apache2 Default Page"
        until(lambda: running.site("shop")["reason"] == "body", 5, "another reason")
        assert running.site("shop")["failing_since"] == first["failing_since"]
        assert running.metric("sitemedic_probe_failure", site="shop", reason="body") == 1
        assert running.metric("sitemedic_probe_failure", reason="status") == 0
        told.body = "Welcome"
        until(lambda: running.site("shop")["success"], 5, "the end")
        assert running.site("shop")["failing_since"] is None
        assert running.metric("sitemedic_failing_since_timestamp_seconds", site="shop") == 0
        assert running.metric("sitemedic_probe_failures_total", reason="status") >= 1


def test_metrics_are_read_whole_by_prometheus_clients_parser(tmp_path: Path) -> None:
    configuration = {
        "sites": [
            {"name": f"gone-{n}", "url": f"tcp://127.0.0.1:{n + 1}", "interval": "300ms"} for n in range(20)
        ]
    }
    with exporter(tmp_path, configuration) as running:
        until(lambda: running.metric("sitemedic_probes_total") >= 20, 10, "a probe of each")
        text = running.get("/metrics").text
        families = [family.name for family in text_string_to_metric_families(text)]
        assert len(families) == len(set(families))
        assert running.metric("sitemedic_exporter_sites") == 20
        assert running.metric("sitemedic_build_info") == 1
        assert running.metric("sitemedic_exporter_probe_lateness_seconds_count") >= 20
        assert running.metric("process_resident_memory_bytes") > 0


def test_gzip_is_used_only_for_those_who_take_it(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told)) as running:
        plain = requests.get(f"{running.url}/metrics", headers={"Accept-Encoding": "identity"}, timeout=5)
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        refused = requests.get(f"{running.url}/metrics", headers={"Accept-Encoding": "gzip;q=0"}, timeout=5)
        assert "Content-Encoding" not in refused.headers
        with requests.get(
            f"{running.url}/metrics", headers={"Accept-Encoding": "gzip"}, stream=True, timeout=5
        ) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert b"# TYPE sitemedic_probes_total counter" in gzip.decompress(packed.raw.read())


def test_a_fresh_probe_of_a_site_tells_what_is_so_now_and_leaves_its_history_alone(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told, interval="1h")) as running:
        fresh = requests.get(f"{running.url}/probe", {"site": "shop"}, headers=JSON, timeout=5).json()
        assert fresh["success"] is True
        assert set(fresh) == {
            "site", "instance", "success", "reason", "detail", "status_code", "duration_seconds", "phases",
            "time",
        }  # fmt: skip
        assert abs(fresh["time"] - time.time()) < 60
        assert set(fresh["phases"]) == {"resolve", "connect", "tls", "processing", "transfer"}
        told.status = 503
        again = requests.get(f"{running.url}/probe", {"site": "shop"}, headers=JSON, timeout=5).json()
        assert (again["success"], again["reason"], again["status_code"]) == (False, "status", 503)
        assert "probe_success 0\n" in running.get("/probe", site="shop").text
        assert running.metric("sitemedic_probe_failures_total") == 0
        missing = requests.get(f"{running.url}/probe", {"site": "shpo"}, headers=JSON, timeout=5)
        assert (missing.status_code, missing.json()) == (404, {"error": "no site is named 'shpo'"})


def test_probe_with_a_sites_yml_serves_only_what_is_listed_or_allowed(tmp_path: Path) -> None:
    with site() as told, site() as canary, site() as other, site() as allowed:
        configuration = one_site(told) | {"canaries": [canary.url], "probe_targets": [allowed.url]}
        with exporter(tmp_path, configuration) as running:
            for target in (told.url, canary.url, f"{allowed.url}below"):
                assert "probe_success 1\n" in running.get("/probe", target=target).text
            refused = requests.get(f"{running.url}/probe", {"target": other.url}, timeout=5)
            assert refused.status_code == 403
            assert "probe_targets" in refused.text
            assert other.asked == []


def test_a_wildcard_beside_a_sites_yml_reaches_no_private_address(tmp_path: Path) -> None:
    with site() as told, site() as other:
        with exporter(tmp_path, one_site(told) | {"probe_targets": ["*"]}) as running:
            asked = {"target": other.url, "module": "http_2xx"}
            assert requests.get(f"{running.url}/probe", asked, timeout=5).status_code == 403
            name = running.get("/probe", target=f"http://localhost:{other.port}/", debug="true").text
            assert 'sitemedic_probe_failure{reason="error"} 1' in name
            assert "leads to" in name
        assert other.asked == []


def test_probe_with_a_blackbox_yml_serves_anything(tmp_path: Path) -> None:
    modules = {"modules": {"wants_500": {"prober": "http", "http": {"valid_status_codes": [500]}}}}
    with site() as told, exporter(tmp_path, modules) as running:
        told.status = 500
        good = running.get("/probe", target=told.url, module="wants_500").text
        assert "probe_success 1\n" in good
        assert "probe_http_status_code 500\n" in good
        # The default module, a target without its scheme.
        assert "probe_success 0\n" in running.get("/probe", target=f"127.0.0.1:{told.port}").text
        log = running.get("/probe", target=told.url, debug="true").text
        assert log.startswith("Logs for the probe:\n")
        assert "Probe failed reason=status" in log
        assert "probe_success 0\n" in log
        assert 'sitemedic_probe_failure{reason="status"} 1\n' in log


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "Target parameter is missing"),
        ({"target": ""}, "Target parameter is missing"),
        ({"target": "http://127.0.0.1/", "module": "http_2x"}, "did you mean 'http_2xx'"),
        ({"target": "http://127.0.0.1/", "module": "hosted", "hostname": "b.example"}, "Host header differ"),
        ({"target": "http://127.0.0.1/", "site": "x"}, "not both"),
        ({"target": "127.0.0.1", "module": "ping"}, "'ping' cannot be used: dns.dns_over_tls: needs"),
    ],
)
def test_a_wrong_request_is_a_400_that_says_why(shared: Exporter, query: dict[str, str], said: str) -> None:
    answer = requests.get(f"{shared.url}/probe", query, timeout=5)
    assert answer.status_code == 400
    assert said in answer.text


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    modules = {
        "modules": {
            "hosted": {"prober": "http", "http": {"headers": {"Host": "a.example"}}},
            "patient": {"prober": "http", "timeout": "30s"},
            "hasty": {"prober": "http", "timeout": "300ms"},
            "ping": {"prober": "dns", "dns": {"dns_over_tls": True}},
        }
    }
    with exporter(tmp_path_factory.mktemp("shared"), modules, "--timeout-offset=0.5") as running:
        yield running


@pytest.mark.parametrize(
    ("module", "header", "seconds"), [("patient", "1", 0.5), ("hasty", "10", 0.3), ("patient", "0.4", 0.4)]
)
def test_the_timeout_follows_prometheus_less_the_offset_and_the_module(
    shared: Exporter, module: str, header: str, seconds: float
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        answer = requests.get(
            f"{shared.url}/probe",
            {"target": target, "module": module},
            headers={"X-Prometheus-Scrape-Timeout-Seconds": header},
            timeout=20,
        )
    line = next(line for line in answer.text.splitlines() if line.startswith("probe_duration_seconds"))
    assert "probe_success 0\n" in answer.text
    assert seconds - 0.05 < float(line.split()[1]) < seconds + 2


def test_a_timeout_header_that_is_no_number_is_refused(shared: Exporter) -> None:
    for header in ("soon", "nan", "-1", "inf"):
        answer = requests.get(
            f"{shared.url}/probe",
            {"target": "127.0.0.1:1", "module": "patient"},
            headers={"X-Prometheus-Scrape-Timeout-Seconds": header},
            timeout=5,
        )
        assert answer.status_code == 400


def test_canaries_are_probed_when_asked(tmp_path: Path) -> None:
    with site() as told, site() as canary:
        configuration = one_site(told) | {
            "canaries": [f"http://user:geheim@127.0.0.1:{canary.port}/up?k=1", "tcp://127.0.0.1:1"]
        }
        with exporter(tmp_path, configuration) as running:
            found = running.get("/api/v1/canaries").json()["canaries"]
            assert [(one["target"], one["success"], one["reason"]) for one in found] == [
                (f"http://127.0.0.1:{canary.port}/up", True, None),
                ("tcp://127.0.0.1:1", False, "refused"),
            ]


def test_without_sites_the_json_is_empty(shared: Exporter) -> None:
    assert shared.get("/api/v1/sites").json() == {"sites": []}
    assert shared.get("/api/v1/canaries").json() == {"canaries": []}


def test_hundreds_of_sites_are_whole_json(tmp_path: Path) -> None:
    names = [f"s-{number}" for number in range(203)]
    sites = [{"name": name, "url": "tcp://127.0.0.1:1", "interval": "1h"} for name in names]
    with exporter(tmp_path, {"sites": sites}) as running:
        assert running.names() == names


def test_a_scraper_that_hangs_up_leaves_no_trace(tmp_path: Path) -> None:
    sites = [{"name": f"s-{n}", "url": "tcp://127.0.0.1:1", "interval": "1h"} for n in range(3000)]
    with exporter(tmp_path, {"sites": sites}) as running:
        for _ in range(3):
            port = int(running.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as hasty:
                hasty.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                hasty.recv(10)
        assert running.metric("sitemedic_exporter_sites") == 3000
        assert "Traceback" not in running.said()
        assert "level=error" not in running.said()


def test_the_page_shows_sites_and_escapes_them(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told, url=f"{told.url}<b>")) as running:
        page = running.get("/").text
        assert "<td>shop</td>" in page
        assert "<b>" not in page
        assert running.get("/-/healthy").status_code == 200


def test_credentials_appear_nowhere(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with site() as told:
        told.status = 401
        secret = {
            "name": "shop",
            "url": f"http://me:geheim@127.0.0.1:{told.port}/a?token=heimlich",
            "interval": "200ms",
        }
        with exporter(
            tmp_path, {"sites": [secret]}, f"--results.file={results}", "--log.level=debug"
        ) as running:
            until(lambda: running.site("shop")["success"] is False, 5, "a failure")
            until(lambda: results.exists() and results.read_text(), 5, "a line in the results file")
            shown = [
                running.get(path).text for path in ("/", "/metrics", "/api/v1/sites", "/probe?site=shop")
            ]
            everything = "\n".join([*shown, running.said(), results.read_text()])
    assert "geheim" not in everything
    assert "heimlich" not in everything


def test_each_scheduled_probe_is_a_line_of_the_results_file(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with site() as told, exporter(tmp_path, one_site(told), f"--results.file={results}") as running:
        until(lambda: results.exists() and results.read_text().count("\n") >= 2, 5, "two lines")
        results.rename(tmp_path / "results.1")
        until(lambda: results.exists() and results.read_text(), 5, "a new file after logrotate")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(5) == 0
    lines = [json.loads(line) for line in (tmp_path / "results.1").read_text().splitlines()]
    assert lines[0]["site"] == "shop"
    assert lines[0]["success"] is True
    assert lines[0]["time"] > 1_700_000_000
    last = json.loads(results.read_text().splitlines()[-1])
    assert last["site"] == "shop"


@pytest.mark.parametrize("zone", [":nonsense", "Asia/Kathmandu"])
def test_neither_locale_nor_time_zone_changes_a_name_or_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": zone}
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    results = tmp_path / "results.jsonl"
    sites = {"sites": [{"name": "größe-東", "url": "http://127.0.0.1:1/ä", "interval": "1s"}]}
    with exporter(tmp_path, sites, f"--results.file={results}") as running:
        until(lambda: results.exists() and results.stat().st_size, 30, "a line")
        assert "größe-東" in running.get("/metrics").content.decode("utf-8")
        assert "größe-東" in running.get("/").content.decode("utf-8")
        log = running.log.read_text("utf-8", errors="strict")
    line = json.loads(results.read_text("utf-8").splitlines()[0])
    assert line["site"] == "größe-東"
    written = next(one for one in log.splitlines() if "site fails" in one)
    told = datetime.fromisoformat(written.partition("time=")[2].partition(" ")[0])
    assert abs(told.timestamp() - time.time()) < 600


def test_a_full_disk_stops_no_probe(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told), "--results.file=/dev/full") as running:
        errors = "sitemedic_exporter_results_file_errors_total"
        until(lambda: running.metric(errors) >= 2, 10, "two errors")
        probes = running.metric("sitemedic_probes_total")
        until(lambda: running.metric("sitemedic_probes_total") > probes, 5, "another probe")
        assert running.said().count("results file cannot be written") == 1


def test_sigterm_ends_quickly_also_with_probes_and_requests_in_flight(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        configuration = {"sites": [{"name": "hangs", "url": url, "interval": "15s", "timeout": "14s"}]}
        with exporter(tmp_path, configuration) as running:
            with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as asking:
                asking.sendall(b"GET /probe?site=hangs HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.2)
                began = time.monotonic()
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(10) == 0
            assert time.monotonic() - began < 5
            assert "Traceback" not in running.said()
            assert "never retrieved" not in running.said()


def test_a_scrape_of_two_thousand_sites_delays_no_probe_in_flight(tmp_path: Path) -> None:
    with site() as told, exporter(
        tmp_path,
        {"sites": [{"name": f"s-{n}", "url": "tcp://127.0.0.1:1", "interval": "10s"} for n in range(2000)]
         + [{"name": "watched", "url": told.url, "interval": "100ms"}]},
    ) as running:  # fmt: skip
        until(lambda: running.metric("sitemedic_probes_total", site="watched") > 3, 10, "probes")
        durations = []
        for _ in range(10):
            running.get("/metrics")
            durations.append(running.site("watched")["duration_seconds"])
        # On a loaded machine a single one may be slow; a scrape that blocks makes all of them so.
        assert sorted(durations)[5] < 0.1


@pytest.mark.needs("prometheus")
def test_a_real_prometheus_takes_every_series(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, one_site(told, group="web")) as running:
        until(lambda: running.site("shop")["success"], 5, "a success")
        config = tmp_path / "prometheus.yml"
        address = running.url.removeprefix("http://")
        write(
            config,
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                "scrape_configs": [
                    {
                        "job_name": "sitemedic-exporter",
                        "honor_labels": True,
                        "static_configs": [{"targets": [address]}],
                    }
                ],
            },
        )
        with prometheus_server(config, tmp_path / "prometheus") as prometheus:
            until(lambda: prometheus.value("probe_success{site='shop'}") == 1, 15, "the series")
            assert prometheus.value("up") == 1
            assert prometheus.value("sitemedic_site_info{group='web', part_of='shop'}") == 1
            lost = prometheus.value("prometheus_target_scrapes_sample_duplicate_timestamp_total") or 0
            assert lost == 0
