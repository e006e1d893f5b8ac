"""The committed dashboards: current, complete, linked to each other, and readable at a glance."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.containers.families import CONTAINER, SERVER
from grafana.build import limits
from grafana.build.__main__ import main, rendered
from tests.docs.published import published_names
from tests.grafana import container_page
from tests.grafana.boards import BOARDS, FILES, ROOT, Query, all_panels, panels, queries, variables

UIDS = [
    "sitemedic-containers",
    "sitemedic-healing",
    "sitemedic-itself",
    "sitemedic-overview",
    "sitemedic-site",
]
PANELS = all_panels()
CONTAINER_NAMES = {
    f"{family.name}{end}"
    for family in (*CONTAINER, *SERVER)
    for end in (("_sum", "_count") if family.kind == "summary" else ("",))
}
# Grafana lays panels out in rows of 30 px with 8 px between them.
ROW_HEIGHT, ROW_GAP = 30, 8
# Of 1080 px: the desktop's bar 48, the browser's tabs and address 87, Grafana's own bar 40, the variables
# and links 56, the padding around the panels 32.
ABOVE_THE_FOLD = 1080 - 48 - 87 - 40 - 56 - 32


def named(value: Any) -> str:
    return f"{value['title']}" if isinstance(value, dict) else str(value)


def test_the_committed_dashboards_are_what_the_modules_make() -> None:
    assert {path.name for path in rendered()} == {path.name for path in FILES}
    for path, text in rendered().items():
        assert path.read_text() == text, f"{path.name}: run python -m grafana.build"
    assert main(["--check"]) == 0


def test_a_stale_dashboard_is_told_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grafana.build.__main__.DASHBOARDS", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert main(["--nonsense"]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FILES}


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_has_the_uid_that_mails_and_links_name_and_its_own_file(uid: str) -> None:
    assert sorted(BOARDS) == UIDS
    board = BOARDS[uid]
    assert board["uid"] == uid
    assert board["tags"] == ["sitemedic"]
    assert board["title"].startswith("Sitemedic: ")
    assert board["description"]
    assert not board["editable"]
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_is_one_that_grafanas_own_types_understand(uid: str) -> None:
    from grafana_foundation_sdk.models.dashboard import Dashboard  # after grafana.build: it bears the warning

    read = Dashboard.from_json(BOARDS[uid])
    assert read.uid == uid
    assert len(read.panels or []) == len(BOARDS[uid]["panels"])


def test_the_site_that_a_link_names_is_a_variable_of_its_dashboard() -> None:
    assert list(variables(BOARDS["sitemedic-site"])) == ["datasource", "console", "site"]
    assert not variables(BOARDS["sitemedic-site"])["site"].get("multi")


@pytest.mark.parametrize("uid", UIDS)
def test_panels_lie_beside_each_other_without_overlap_and_fill_their_rows(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[uid]["panels"]:
        spot = panel["gridPos"]
        x, y = spot.get("x", 0), spot.get("y", 0)
        cells = {(cx, cy) for cx in range(x, x + spot["w"]) for cy in range(y, y + spot["h"])}
        assert x + spot["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    lowest = max(y for _, y in taken)
    assert len(taken) == 24 * (lowest + 1), "there are holes"


@pytest.mark.parametrize("uid", UIDS)
def test_what_matters_is_seen_without_scrolling_on_a_screen_of_1920_by_1080(uid: str) -> None:
    fold = next(panel["gridPos"]["y"] for panel in BOARDS[uid]["panels"] if panel["type"] == "row")
    first = [panel for panel in panels(BOARDS[uid]) if panel["gridPos"].get("y", 0) < fold]
    lowest = max(panel["gridPos"].get("y", 0) + panel["gridPos"]["h"] for panel in first)
    assert lowest * (ROW_HEIGHT + ROW_GAP) - ROW_GAP <= ABOVE_THE_FOLD
    assert len(first) >= 10
    for panel in first:  # room for the title and something below it
        assert panel["gridPos"]["h"] >= (3 if panel["type"] == "stat" else 4), panel["title"]


def urls(value: Any) -> list[str]:
    """Return every address in a dashboard."""
    if isinstance(value, dict):
        own = [value["url"]] if isinstance(value.get("url"), str) and value["url"] else []
        return own + [url for one in value.values() for url in urls(one)]
    if isinstance(value, list):
        return [url for one in value for url in urls(one)]
    return []


@pytest.mark.parametrize("uid", UIDS)
def test_every_link_leads_to_a_dashboard_of_ours_or_to_the_console(uid: str) -> None:
    found = urls(BOARDS[uid])
    assert found
    for url in found:
        if url.startswith("/d/"):
            target, _, parameters = url.removeprefix("/d/").partition("?")
            assert target in UIDS
            for name in re.findall(r"var-(\w+)=", parameters):
                assert name in variables(BOARDS[target])
        else:
            assert url in ("${console}/", "${console}/incidents/${__value.raw}",
                           "${console}/incidents/${__field.labels.incident}")  # fmt: skip


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_leads_to_the_others_and_to_the_console(uid: str) -> None:
    kinds = {(link["type"], *link["tags"]) for link in BOARDS[uid]["links"]}
    assert kinds == {("dashboards", "sitemedic"), ("link",)}


def test_a_name_in_the_overview_leads_to_its_site() -> None:
    (table,) = (panel for _, panel in PANELS if panel["title"] == "Sites, the worst first")
    (links,) = (
        one["properties"][0]["value"]
        for one in table["fieldConfig"]["overrides"]
        if one["matcher"]["options"] == "Site"
    )
    assert links[0]["url"].startswith("/d/sitemedic-site?")
    assert "var-site=${__value.raw:percentencode}" in links[0]["url"]


@pytest.mark.parametrize("query", list(queries()), ids=str)
def test_a_variable_with_many_values_is_only_matched_as_a_regular_expression(query: Query) -> None:
    for name, variable in variables(BOARDS[query.board]).items():
        matched = set(re.findall(rf'(=~|!~|!=|=)"\${name}"', query.expr))
        if variable.get("multi"):
            assert matched <= {"=~"}
            # `${name:regex}` escapes with one backslash, which PromQL does not read
            assert f"${{{name}" not in query.expr
        else:
            assert matched <= {"="}


@pytest.mark.parametrize("query", list(queries()), ids=str)
def test_no_query_names_an_instance_or_a_site(query: Query) -> None:
    assert "instance=" not in query.expr
    assert not re.search(r'\bsite=~?"[^$"]', query.expr)


def recorded_names() -> set[str]:
    rules = [
        rule
        for path in (ROOT / "prometheus/rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    return {rule["record"] for rule in rules if "record" in rule}


def test_every_metric_on_a_dashboard_is_one_that_is_published_or_recorded() -> None:
    known = published_names() | recorded_names() | CONTAINER_NAMES
    asked = {
        name
        for query in queries()
        for name in re.findall(
            r"(?<![:\w])(?:probe_|container[_:]|sitemedic[_:]|site:|server:)[a-z0-9_:]+", query.expr
        )
    }
    assert len(asked) > 30
    assert not asked - known


def test_the_page_of_containers_that_the_queries_are_tried_on_is_the_exporters() -> None:
    assert container_page.names() <= CONTAINER_NAMES


def colours(panel: dict[str, Any]) -> list[tuple[float | None, str]]:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step.get("value"), step["color"]) for step in steps]


def panel_called(uid: str, title: str) -> dict[str, Any]:
    (found,) = (panel for panel in panels(BOARDS[uid]) if panel["title"] == title)
    return found


def test_the_stages_of_a_certificate_are_those_of_its_alert() -> None:
    rules = (ROOT / "prometheus/rules/certificates.yml").read_text()
    (target,) = panel_called("sitemedic-site", "Certificate")["targets"]
    shown = re.findall(r'stage="(\w+)"', target["expr"])
    assert set(shown) == set(re.findall(r'"stage", "(\w+)"', rules))
    assert shown == ["expired", "last", "second", "first"]
    words = panel_called("sitemedic-site", "Certificate")["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert set(words) == {"0", "1", "2", "3", "4"}


def test_the_line_above_which_probes_are_late_is_the_alerts() -> None:
    rules = (ROOT / "prometheus/rules/self.yml").read_text()
    late = rules.partition("alert: ExporterProbesLate")[2].partition("- alert")[0]
    (limit,) = re.findall(r"\)\) > (\d+)", late)
    asked = [target["expr"] for target in panel_called("sitemedic-itself", "Probes' lateness")["targets"]]
    assert f"vector({limit})" in asked
    assert any(expr.startswith("histogram_quantile(0.99,") for expr in asked)
    assert "histogram_quantile(0.99," in late


def test_the_remediators_last_round_turns_red_when_its_alert_fires() -> None:
    rules = (ROOT / "prometheus/rules/self.yml").read_text()
    (limit,) = re.findall(r"sitemedic_reconcile_last_run_timestamp_seconds > (\d+)", rules)
    last = panel_called("sitemedic-itself", "Remediator's last round")
    assert colours(last) == [(None, "green"), (float(limit), "red")]
    (ready,) = panel_called("sitemedic-healing", "Reconciles")["targets"]
    assert f"<= bool {limit} " in ready["expr"]


def test_an_uptime_turns_red_below_what_is_promised_unless_told_otherwise() -> None:
    schema = json.loads((ROOT / "docs/sites.schema.json").read_text())
    promised = schema["$defs"]["AlertOptions"]["properties"]["objective"]["default"]
    for title in ("Uptime, 24 h", "Uptime, 7 d", "Uptime, 30 d"):
        assert colours(panel_called("sitemedic-site", title)) == [(None, "red"), (promised, "green")]


def test_what_is_told_of_a_container_turns_when_its_alert_fires() -> None:
    rules = (ROOT / "prometheus/rules/containers.yml").read_text()
    fires = {
        "Restarting": "ContainerRestarting",
        "High CPU": "ContainerHighCPU",
        "High memory": "ContainerHighMemory",
    }
    for title, alert in fires.items():
        panel = panel_called("sitemedic-containers", title)
        (held,) = re.findall(r"container:\w+:held", panel["targets"][0]["expr"])
        assert held in rules.partition(f"alert: {alert}\n")[2].partition("- alert")[0]
        assert alert in panel["description"]
    for title, key in (
        ("CPU, share of what it may use", "cpu"),
        ("Memory, share of what it may use", "memory"),
    ):
        shown, limit = panel_called("sitemedic-containers", title)["targets"]
        threshold = f"sitemedic_container_{key}_threshold_ratio"
        assert threshold in limit["expr"]
        assert threshold in rules
        assert threshold not in shown["expr"]


def test_a_limit_that_a_rule_does_not_have_is_told() -> None:
    with pytest.raises(ValueError, match="Watchdog: expected one number"):
        limits.number_in("Watchdog", r"> (\d+)")


def test_grafana_is_given_the_dashboards_and_the_data_source_that_they_ask_for() -> None:
    folder = ROOT / "grafana/provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards/sitemedic.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["volumes"]
    home = compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).stem == "sitemedic-overview"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
