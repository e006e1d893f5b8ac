"""The committed dashboard: current, complete, and every query of it understood by a real Prometheus."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from grafana.build.__main__ import rendered
from grafana.build.sites import CERTIFICATE_WARNING_DAYS
from tests.docs.published import published_names
from tests.ports import free_port
from tests.waiting import until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILE = ROOT / "grafana/dashboards/sitemedic-overview.json"
BOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
# These have nothing to show on the small set of samples: no alert fires and nothing was counted twice.
QUIET = {"Alerts firing"}


def substituted(expr: str) -> str:
    return expr.replace("$__rate_interval", "1m").replace("$__range", "6h").replace("$site", ".*")


def counters(scrape: int) -> str:
    """Lines that grow with each scrape, so that rates have something to show."""
    site = 'site="www",instance="https://www.example/"'
    return (
        f"sitemedic_probes_total{{{site}}} {scrape}\n"
        f'sitemedic_probe_failures_total{{{site},reason="status"}} {scrape}\n'
        f'sitemedic_probe_latency_seconds_bucket{{{site},le="0.25"}} {scrape}\n'
        f'sitemedic_probe_latency_seconds_bucket{{{site},le="+Inf"}} {scrape}\n'
        f'sitemedic_exporter_probe_lateness_seconds_bucket{{le="0.01"}} {scrape}\n'
        f'sitemedic_exporter_probe_lateness_seconds_bucket{{le="+Inf"}} {scrape}\n'
        f"process_cpu_seconds_total {scrape}\n"
        f'sitemedic_attempts_total{{action="restart_container",outcome="succeeded"}} {scrape}\n'
        f'sitemedic_incidents_total{{outcome="healed"}} {scrape}\n'
        f'sitemedic_decisions_total{{decision="act",reason="answers_wrongly"}} {scrape}\n'
        f'sitemedic_incident_recover_seconds_bucket{{le="60.0"}} {scrape}\n'
        f'sitemedic_incident_recover_seconds_bucket{{le="+Inf"}} {scrape}\n'
    )


class SampleMetrics(BaseHTTPRequestHandler):
    """Serves sample.prom as both services would."""

    scrapes = 0

    def do_GET(self) -> None:
        type(self).scrapes += 1
        body = ((HERE / "sample.prom").read_text() + counters(type(self).scrapes)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scrapes the samples every half second; its address."""
    folder = tmp_path_factory.mktemp("prometheus")
    samples = ThreadingHTTPServer(("127.0.0.1", 0), SampleMetrics)
    threading.Thread(target=samples.serve_forever, daemon=True).start()
    jobs = [
        {
            "job_name": f"sitemedic-{name}",
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{samples.server_port}"]}],
        }
        for name in ("exporter", "remediator")
    ]
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {"global": {"scrape_interval": "500ms", "scrape_timeout": "400ms"}, "scrape_configs": jobs}
        )
    )
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: requests.get(f"{address}/-/ready", timeout=2).ok, 30, "Prometheus ready")
        until(lambda: SampleMetrics.scrapes >= 8, 20, "a few scrapes")
        yield address
    finally:
        process.terminate()
        process.wait(20)
        samples.shutdown()
        samples.server_close()


def ask(address: str, target: dict[str, Any]) -> list[Any]:
    query = {"query": substituted(target["expr"])}
    path = "query"
    if target.get("range"):
        now = time.time()
        query |= {"start": str(now - 60), "end": str(now), "step": "1"}
        path = "query_range"
    answer = requests.post(f"{address}/api/v1/{path}", data=query, timeout=10).json()
    assert answer["status"] == "success", f"{query['query']}: {answer.get('error')}"
    found: list[Any] = answer["data"]["result"]
    return found


def test_the_committed_dashboards_are_what_the_modules_make() -> None:
    for path, text in rendered().items():
        assert path.read_text() == text, f"{path.name}: run python -m grafana.build"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_has_a_description_a_unit_and_the_datasource_of_the_variable(
    panel: dict[str, Any],
) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_panels_lie_beside_each_other_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        spot = panel["gridPos"]
        x, y = spot.get("x", 0), spot.get("y", 0)
        cells = {(cx, cy) for cx in range(x, x + spot["w"]) for cy in range(y, y + spot["h"])}
        assert x + spot["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_can_be_linked_to_and_has_its_two_variables() -> None:
    assert BOARD["uid"] == "sitemedic-overview"
    assert [one["name"] for one in BOARD["templating"]["list"]] == ["datasource", "site"]


def test_rates_look_over_grafanas_own_interval() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            if "rate(" in target["expr"] or "increase(" in target["expr"]:
                assert "[$__rate_interval]" in target["expr"] or "[$__range]" in target["expr"], panel[
                    "title"
                ]


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_query_is_answered_by_a_real_prometheus(prometheus: str, panel: dict[str, Any]) -> None:
    answers = [
        until(lambda one=target: ask(prometheus, one), 10, f"data for {target['expr']}")
        if panel["title"] not in QUIET
        else ask(prometheus, target)
        for target in panel["targets"]
    ]
    assert len(answers) == len(panel["targets"])


def test_the_certificate_turns_yellow_when_its_alert_fires() -> None:
    rules = (ROOT / "prometheus/rules/sites.yml").read_text()
    assert f"probe_ssl_earliest_cert_expiry < time() + {CERTIFICATE_WARNING_DAYS} * 86400" in rules


def test_every_metric_on_the_dashboard_is_one_that_is_published() -> None:
    asked = {
        name
        for panel in PANELS
        for target in panel["targets"]
        for name in re.findall(r"\b(?:probe|sitemedic|site:)[a-z0-9_:]+", target["expr"])
    }
    assert asked
    assert not asked - published_names()
