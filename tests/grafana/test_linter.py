"""The rules of Grafana's own dashboard-linter, held for our dashboards.

Each rule bears the linter's name for it (docs/rules of github.com/grafana/dashboard-linter). What is let
pass stands with its reason in grafana/dashboards/.lint, the file that the linter itself reads.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.grafana.boards import BOARDS, ROOT, Query, filled, panels, queries, variable_expr, variables

Board = dict[str, Any]
EXCLUDED: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "grafana/dashboards/.lint").read_text())[
    "exclusions"
]
# Of the units that Grafana knows (packages/grafana-data/src/valueFormats/categories.ts), those used here.
UNITS = {"none", "short", "s", "percentunit", "cps", "bytes", "binBps", "dateTimeFromNow", "dtdurations"}
SELECTORS = re.compile(r"(?<![\w:$])((?:probe_|sitemedic_|site:|up\b)[\w:]*)(\{[^}]*\})?")


def query_variables(board: Board) -> list[dict[str, Any]]:
    return [one for one in variables(board).values() if one["type"] == "query"]


def targets(board: Board) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel.get("targets") or []:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def template_datasource(board: Board) -> Iterator[str]:
    sources = [one for one in variables(board).values() if one["type"] == "datasource"]
    if [(one["name"], one["label"], one["query"]) for one in sources] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield "no data source variable as the linter wants it"


def template_named(name: str) -> Callable[[Board], Iterator[str]]:
    def rule(board: Board) -> Iterator[str]:
        if name not in variables(board):
            yield f"no variable {name}"

    return rule


def target_matching(label: str) -> Callable[[Board], Iterator[str]]:
    def rule(board: Board) -> Iterator[str]:
        for where, expr in targets(board):
            if any(f'{label}=~"${label}"' not in (found[2] or "") for found in SELECTORS.finditer(expr)):
                yield where

    return rule


def template_label_promql(board: Board) -> Iterator[str]:
    for one in query_variables(board):
        if not re.fullmatch(
            r"(label_names|label_values|metrics|query_result)\(.+\)", one["query"], re.DOTALL
        ):
            yield one["name"]


def template_on_time_change_reload(board: Board) -> Iterator[str]:
    yield from (one["name"] for one in query_variables(board) if one["refresh"] != 2)


def panel_datasource(board: Board) -> Iterator[str]:
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(board):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        if any(source != wanted for source in sources):
            yield panel["title"]
    asking = [*query_variables(board), *board["annotations"].get("list", [])]
    yield from (one["name"] for one in asking if one["datasource"] != wanted)


def panel_title_description(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or len(panel.get("description") or "") < 10:
            yield str(panel.get("title") or panel["id"])


def panel_units(board: Board) -> Iterator[str]:
    for panel in panels(board):
        config = panel["fieldConfig"]
        units = [config["defaults"].get("unit")]
        for override in config["overrides"]:
            units += [one["value"] for one in override["properties"] if one["id"] == "unit"]
        if not set(units) <= UNITS:
            yield panel["title"]


def panel_no_targets(board: Board) -> Iterator[str]:
    yield from (panel["title"] for panel in panels(board) if not panel.get("targets"))


def target_rate_interval(board: Board) -> Iterator[str]:
    for where, expr in targets(board):
        if any(found != "$__rate_interval" for found in re.findall(r"\bi?rate\([^\[]*\[([^\]]*)\]", expr)):
            yield where


def target_counter_agg(board: Board) -> Iterator[str]:
    for where, expr in targets(board):
        counters = len(re.findall(r"\b[\w:]+_total\b", expr))
        if counters != len(re.findall(r"\b(?:i?rate|increase)\([\w:]+_total(?:\{[^}]*\})?\[", expr)):
            yield where


def uneditable_dashboard(board: Board) -> Iterator[str]:
    if board["editable"]:
        yield "editable"


def template_unused(board: Board) -> Iterator[str]:
    for name in variables(board):
        rest = [one for one in variables(board).values() if one["name"] != name]
        used = str([board["panels"], board["links"], board["annotations"], rest])
        if not re.search(rf"\${name}\b|\${{{name}[:}}]", used):
            yield name


RULES: dict[str, Callable[[Board], Iterator[str]]] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template_named("job"),
    "template-instance-rule": template_named("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_matching("job"),
    "target-instance-rule": target_matching("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard-rule": uneditable_dashboard,
    "template-unused-rule": template_unused,
}


@pytest.mark.parametrize("uid", BOARDS)
@pytest.mark.parametrize("rule", [name for name in RULES if name not in EXCLUDED])
def test_a_dashboard_keeps_the_rule(rule: str, uid: str) -> None:
    assert list(RULES[rule](BOARDS[uid])) == []


@pytest.mark.parametrize("rule", EXCLUDED)
def test_what_is_let_pass_has_its_reason_and_is_needed(rule: str) -> None:
    assert len(EXCLUDED[rule]["reason"]) > 40
    assert any(list(RULES[rule](board)) for board in BOARDS.values())


def faulty() -> dict[str, Any]:
    """A dashboard that breaks every rule."""
    counter = {"refId": "A", "expr": "sitemedic_probes_total", "datasource": {"uid": "abc"}}
    rate = {"refId": "B", "expr": "rate(sitemedic_probes_total[5m])", "datasource": {"uid": "abc"}}
    config = {"defaults": {"unit": "parsecs"}, "overrides": []}
    panel = {"type": "stat", "title": "", "id": 1, "datasource": {"uid": "abc"}, "fieldConfig": config}
    empty = {**panel, "title": "Empty", "description": "None at all.", "targets": []}
    variable = {"name": "place", "type": "query", "query": "site", "refresh": 1, "datasource": {"uid": "abc"}}
    return {
        "editable": True,
        "panels": [{**panel, "targets": [counter, rate]}, empty],
        "templating": {"list": [variable]},
        "annotations": {},
        "links": [],
    }


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_breaks_it(rule: str) -> None:
    assert list(RULES[rule](faulty()))


# --- target-promql-rule ---


@pytest.mark.needs("promtool")
def test_every_query_is_valid_promql(tmp_path: Path) -> None:
    stand_ins = {
        name: "1m" if name.startswith("__") else "25" if name == "rows" else ["a.b", "c|d"]
        for name in ("__rate_interval", "__range", "rows", "group", "server", "site", "worst", "container")
    }
    asked: list[Query] = list(queries())
    rules = [
        {"record": f"query:{index}", "expr": filled(one.expr, stand_ins)} for index, one in enumerate(asked)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(asked)} rules found" in done.stdout
    assert variable_expr("label_values(up, job)").startswith("group by (job) (up)")
