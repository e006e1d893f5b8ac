"""Dashboards that others made for blackbox_exporter: on our metrics they show what they show on its own.

The same sites are probed by a real blackbox_exporter and by our exporter, each read by a Prometheus of its
own, and every query of these dashboards, unmodified, is asked of both.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.exporter.certificates import context
from tests.exporter.loopback import always, answer, serving
from tests.exporter.running import exporter, site
from tests.grafana.boards import community, filled, variable_expr
from tests.grafana.real_run import in_a_loop
from tests.ports import free_port
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.service import service
from tests.waiting import until

pytestmark = pytest.mark.needs("prometheus", "prometheus-blackbox-exporter")

BOARDS = community("blackbox_exporter")
QUERIES = [(f"{board['id']}", query) for board in BOARDS for query in board["queries"]]
VARIABLES = [(f"{board['id']}", *one) for board in BOARDS for one in board["variables"].items()]
EVERYTHING = dict.fromkeys(("job", "instance", "target", "targets"), ".+")
# Nobody probes by ICMP here: blackbox_exporter has no answer either.
UNANSWERED = {'sum(probe_icmp_duration_seconds{job=~"$job", instance=~"$instance"}) by (phase)'}
# Ours has the site's name beside its address.
OURS_ALONE = {"site"}


@dataclass(frozen=True)
class Pair:
    """A Prometheus that reads blackbox_exporter, and one that reads our exporter."""

    theirs: PrometheusServer
    ours: PrometheusServer

    def both(self, query: str) -> tuple[set[frozenset[tuple[str, str]]], set[frozenset[tuple[str, str]]]]:
        """Return the label sets that each has as its answer."""
        expr = filled(query, EVERYTHING)
        theirs, ours = (
            {
                frozenset((name, text) for name, text in one["metric"].items() if name not in OURS_ALONE)
                for one in prometheus.query(expr)
            }
            for prometheus in (self.theirs, self.ours)
        )
        return theirs, ours


def _sites(stack: ExitStack, folder: Path) -> dict[str, tuple[str, str]]:
    """Start the sites: the address and the module of each."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = context(authority, "127.0.0.1")
    well, broken = stack.enter_context(site()), stack.enter_context(site())
    broken.status = 500
    secure = stack.enter_context(in_a_loop(lambda: serving(always(answer()), tls)))
    return {
        "well": (well.url, "http_2xx"),
        "broken": (broken.url, "http_2xx"),
        "secure": (f"https://127.0.0.1:{secure}/", "trusting"),
        "gone": (f"http://127.0.0.1:{free_port()}/", "http_2xx"),
    }


@contextmanager
def _read(folder: Path, scrapes: list[dict[str, Any]]) -> Iterator[PrometheusServer]:
    folder.mkdir()
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrapes}
        )
    )
    with prometheus_server(folder / "prometheus.yml", folder / "data") as running:
        yield running


def _of_blackbox(address: str, sites: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Scrape it as its own documentation says, and name the target as 14928 wants it."""
    return [
        {
            "job_name": f"blackbox-{module}",
            "metrics_path": "/probe",
            "params": {"module": [module]},
            "static_configs": [{"targets": [url for url, used in sites.values() if used == module]}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"source_labels": ["__param_target"], "target_label": "target"},
                {"target_label": "__address__", "replacement": address},
                {"target_label": "job", "replacement": "sitemedic-exporter"},
            ],
        }
        for module in sorted({used for _, used in sites.values()})
    ]


def _of_ours(address: str) -> list[dict[str, Any]]:
    """Scrape it as Sitemedic does, and name the target as 14928 wants it."""
    return [
        {
            "job_name": "sitemedic-exporter",
            "honor_labels": True,
            "static_configs": [{"targets": [address]}],
            "metric_relabel_configs": [
                {
                    "source_labels": ["__name__", "instance"],
                    "regex": "probe_.*;(.+)",
                    "target_label": "target",
                }
            ],
        }
    ]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("community")
    with ExitStack() as stack:
        sites = _sites(stack, folder)
        trusting = {
            "prober": "http",
            "timeout": "900ms",
            "http": {"tls_config": {"ca_file": f"{folder}/ca.pem"}},
        }
        modules = {"trusting": trusting, "http_2xx": {"prober": "http", "timeout": "900ms"}}
        (folder / "blackbox.yml").write_text(yaml.safe_dump({"modules": modules}))
        port = free_port()
        flags = [f"--config.file={folder / 'blackbox.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
        url, log = f"http://127.0.0.1:{port}", folder / "blackbox.log"
        stack.enter_context(service("prometheus-blackbox-exporter", flags, url, log, "/-/healthy"))
        ours = stack.enter_context(
            exporter(
                folder,
                {
                    "defaults": {"interval": "1s", "timeout": "900ms"},
                    "modules": {"trusting": trusting},
                    "sites": [
                        {"name": name, "url": url, "module": module} for name, (url, module) in sites.items()
                    ],
                },
                program=("stack", "exporter"),
            )
        )
        found = Pair(
            stack.enter_context(_read(folder / "theirs", _of_blackbox(f"127.0.0.1:{port}", sites))),
            stack.enter_context(_read(folder / "ours", _of_ours(ours.url.removeprefix("http://")))),
        )
        for prometheus in (found.theirs, found.ours):
            until(
                lambda prometheus=prometheus: len(prometheus.query("probe_success")) == len(sites),
                30,
                "every site to be read",
            )
        yield found


@pytest.mark.parametrize(("board", "query"), QUERIES)
def test_a_panel_of_a_community_dashboard_has_the_same_series(pair: Pair, board: str, query: str) -> None:
    def same() -> bool:
        theirs, ours = pair.both(query)
        assert theirs == ours
        return bool(ours) or query in UNANSWERED

    until(same, 15, f"the same answers to {query}")


@pytest.mark.parametrize(("board", "name", "query"), VARIABLES)
def test_a_variable_of_a_community_dashboard_has_the_same_values(
    pair: Pair, board: str, name: str, query: str
) -> None:
    label = re.findall(r"\w+", query)[-1]
    theirs, ours = pair.both(variable_expr(query))
    assert {dict(one)[label] for one in ours} == {dict(one)[label] for one in theirs}
    assert ours


def test_the_well_known_dashboards_are_asked() -> None:
    assert [board["id"] for board in BOARDS] == [7587, 13659, 14928, 16124]
    assert len(QUERIES) > 40
