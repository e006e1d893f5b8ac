"""Every query of the dashboards has an answer from a real Prometheus that has watched a real run."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.grafana.boards import BOARDS, Query, community, filled, queries, variable_expr, variables
from tests.grafana.real_run import Run, real_run
from tests.waiting import until

pytestmark = [
    pytest.mark.needs("prometheus", "prometheus-alertmanager", "sshd"),
    pytest.mark.timeout(240),
]

ASKED = list(queries())
# A dashboard of one site has something to show for one of these: each has its own trouble.
SITES = ("shop", "broken", "secure", "slow")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with real_run(tmp_path_factory.mktemp("run")) as run:
        yield run


def worst_sites(run: Run) -> list[str]:
    """Return the values of the variable `worst` as Grafana finds them."""
    worst = variables(BOARDS["sitemedic-overview"])["worst"]
    pattern = worst["regex"].strip("/")
    chosen = {"rows": "25", "group": ".*", "server": ".*", "site": ".*"}
    found = sorted(
        run.asked(filled(variable_expr(worst["query"]), chosen)), key=lambda one: -float(one["value"][1])
    )
    texts = [f'{{site="{one["metric"]["site"]}"}} {one["value"][1]} 0' for one in found]
    return [re.search(pattern, text)[1] for text in texts]  # type: ignore[index]


def values(run: Run, board: str, site: str) -> dict[str, Any]:
    """Return what the variables of a dashboard stand for."""
    given: dict[str, Any] = {"__rate_interval": "5s", "__range": "2m"}
    if board == "sitemedic-containers":
        return given | {"server": ".*", "container": ".*"}
    if board == "sitemedic-overview":
        return given | {"rows": "25", "group": ".*", "server": ".*", "site": ".*", "worst": worst_sites(run)}
    return given | {"site": site}


def answered(run: Run, query: Query, site: str) -> list[Any]:
    assert run.prometheus is not None
    expr = filled(query.expr, values(run, query.board, site))
    now = time.time()
    window = {"start": f"{now - 90}", "end": f"{now}", "step": "1"}
    path, more = ("/api/v1/query_range", window) if query.over_time else ("/api/v1/query", {})
    found: list[Any] = run.prometheus.get(path, query=expr, **more).json()["data"]["result"]
    return found


@pytest.mark.parametrize("query", ASKED, ids=str)
def test_every_query_of_a_dashboard_has_an_answer(run: Run, query: Query) -> None:
    sites = SITES if query.board == "sitemedic-site" else ("",)
    until(lambda: any(answered(run, query, site) for site in sites), 60, f"data for {query.expr}")


CADVISOR = community("cadvisor")


@pytest.mark.parametrize("query", [query for board in CADVISOR for query in board["queries"]])
def test_a_panel_of_a_dashboard_for_cadvisor_shows_every_container_that_runs(run: Run, query: str) -> None:
    given = dict.fromkeys(("host", "container"), ".+")

    def shown() -> bool:
        return {"shop", "worker"} <= {one["metric"]["name"] for one in run.asked(filled(query, given))}

    until(shown, 60, f"both containers in {query}")


@pytest.mark.parametrize(("name", "values"), [("host", {"web-1"}), ("container", {"shop", "worker", "loop"})])
def test_a_variable_of_a_dashboard_for_cadvisor_knows_servers_and_containers(
    run: Run, name: str, values: set[str]
) -> None:
    (board,) = CADVISOR
    query = board["variables"][name]
    label = re.findall(r"\w+", query)[-1]
    selector = filled(re.fullmatch(r"label_values\((.*), \w+\)", query)[1], {"host": ".+"})  # type: ignore[index]
    until(lambda: values <= {one["metric"].get(label) for one in run.asked(selector)}, 60, query)


METRIC = re.compile(
    r"(?<![\w:$\"])((?:probe|sitemedic|site|container|prometheus|alertmanager|process|scrape)[_:][\w:]+)\b(?!=)"
)


@pytest.mark.parametrize("metric", sorted({name for one in ASKED for name in METRIC.findall(one.expr)}))
def test_every_metric_that_is_asked_for_is_there(run: Run, metric: str) -> None:
    """What stands behind an `or` too, which an answer does not show."""
    until(lambda: run.asked(f"last_over_time({metric}[5m])"), 60, metric)


def test_the_worst_sites_are_listed_first_and_none_is_left_out(run: Run) -> None:
    names = {"shop", "broken", "gone", "flaky", "slow", "secure", "well", "well/api"}
    found = until(lambda: (worst := worst_sites(run))[1:] and set(worst) == names and worst, 60, "the sites")
    assert set(found[:2]) == {"broken", "gone"}
    assert found[2:5] == ["flaky", "slow", "secure"]  # it flaps, it is slow, its certificate ends
    assert set(found[5:]) == {"shop", "well", "well/api"}


def test_the_state_of_each_site_is_the_one_that_its_alerts_tell(run: Run) -> None:
    (state,) = (one for one in ASKED if str(one) == "overview: State A")
    shown = filled(state.expr, values(run, state.board, ""))
    numbers = {
        "broken": 4,
        "gone": 4,
        "slow": 1,
        "flaky": 2,
        "secure": 0,
        "well": 0,
        "well/api": 0,
        "shop": 0,
    }

    def now() -> dict[str, float]:
        return {one["metric"]["site"]: float(one["value"][1]) for one in run.asked(shown)}

    until(lambda: now() == numbers, 60, f"{numbers}, not {now()}")


def test_what_failed_is_missing_in_the_uptime(run: Run) -> None:
    asked = {str(one): one for one in ASKED}
    for site, uptime in (("well", 1.0), ("gone", 0.0)):
        expr = filled(asked["site: Uptime, 24 h A"].expr, values(run, "sitemedic-site", site))
        (found,) = until(lambda expr=expr: run.asked(expr), 60, expr)
        assert float(found["value"][1]) == pytest.approx(uptime)
