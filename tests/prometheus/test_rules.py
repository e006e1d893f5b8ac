"""The rules: promtool's own verdict, and what every alert must carry."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.render.prometheus import EXPORTER_JOB

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((ROOT / "prometheus" / "tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
POSTED = {"HealingSuspended", "SiteHealing", "SiteNeedsHuman", "SiteOutageUntold"}
"""Alerts that the remediator posts itself."""


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def promtool(*arguments: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("promtool")
def test_promtool_finds_the_rules_sound() -> None:
    promtool("check", "rules", *RULES)


LONG = {"budget_slow", "budget_after_outage"}


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.full] if path.stem in LONG else []) for path in TESTS],
    ids=lambda path: path.stem,
)
def test_the_rules_keep_their_times_and_words(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_has_summary_description_severity_and_a_runbook_that_exists(alert: dict[str, Any]) -> None:
    assert {"summary", "description", "runbook_url"} <= set(alert["annotations"])
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
    severity = alert.get("labels", {}).get("severity")
    as_the_site_says = alert["alert"] in ("SiteDown", "SiteCertificateExpiring", "ContainerDown")
    assert severity in ("critical", "warning", "none") or as_the_site_says
    text = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    assert text.startswith(f"# {alert['alert']}\n")
    for heading in ("## Meaning", "## Checks", "## Mends"):
        assert heading in text


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_is_tested_firing_and_not_firing(alert: dict[str, Any]) -> None:
    cases = [
        case
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert["alert"]
    ]
    assert [case for case in cases if case.get("exp_alerts")]
    assert alert["alert"] == "Watchdog" or [case for case in cases if not case.get("exp_alerts")]


def test_the_index_of_runbooks_names_every_one() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    names = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert names == {alert["alert"] for alert in alerts()} | POSTED
    assert all(f"[{name}]({name}.md)" in index for name in names)


def test_recording_rules_are_named_level_metric_operations() -> None:
    assert all(rule["record"].count(":") == 2 for rule in rules() if "record" in rule)


def test_site_down_has_no_static_for_since_each_site_has_its_own_patience() -> None:
    assert all("for" not in alert for alert in alerts() if alert["alert"].startswith("Site"))


def test_the_rules_ask_for_the_job_that_is_rendered() -> None:
    assert f'up{{job="{EXPORTER_JOB}"}}' in (ROOT / "prometheus" / "rules" / "sites.yml").read_text()
