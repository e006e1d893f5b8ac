"""Uptime is what it is said to be: the dashboards' queries on a history made by hand."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.grafana.boards import filled, queries

ASKED = {str(one): one.expr for one in queries()}
MADE, GOOD = "site:sitemedic_probes:increase10m", "site:sitemedic_probe_successes:increase10m"
# 40 probes in 10 minutes; 8 of them failed within one such time, 20 hours before the end.
DAYS = 6 * 24


def series(name: str, values: str) -> dict[str, str]:
    return {"series": f'{name}{{site="shop", instance="http://a/"}}', "values": values}


def answer(query: str, at: str, more: list[dict[str, str]], tmp_path: Path, expected: float | None) -> None:
    """Hold that promtool's Prometheus gives `expected`, None for no answer."""
    of = {
        "input_series": [
            *more,
        ],
        "interval": "10m",
        "promql_expr_test": [
            {
                "expr": f"round(10000 * ({filled(ASKED[query], {'site': 'shop'})}))",
                "eval_time": at,
                "exp_samples": []
                if expected is None
                else [{"labels": '{site="shop"}', "value": round(10000 * expected)}],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "10m", "tests": [of]}))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


HISTORY = [
    series(MADE, f"40x{2 * DAYS}"),
    series(GOOD, f"40x{2 * DAYS - 120 - 1} 32 40x119"),
]


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("site: Uptime, 24 h A", 1 - 8 / (40 * DAYS)),
        ("site: Uptime, 7 d A", 1 - 8 / (40 * (2 * DAYS + 1))),
    ],
)
def test_of_two_days_with_two_minutes_of_failures(query: str, expected: float, tmp_path: Path) -> None:
    answer(query, f"{2 * DAYS * 10}m", HISTORY, tmp_path, expected)


@pytest.mark.needs("promtool")
def test_a_site_that_nothing_is_recorded_of_yet_shows_its_last_minutes(tmp_path: Path) -> None:
    young = [series("site:sitemedic_probes:success_ratio_rate5m", "0.75x1")]
    answer("site: Uptime, 30 d A", "10m", young, tmp_path, 0.75)


@pytest.mark.needs("promtool")
def test_a_site_that_is_unknown_shows_nothing(tmp_path: Path) -> None:
    answer("site: Uptime, 30 d A", "10m", [], tmp_path, None)
