"""The campaign holds, and would not if a rule were missing: each taken out in turn is caught."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAUGHT = {
    # rule taken out → the outages that need it, a fault that needs it, the invariant that is broken
    "fresh_probe": (["wrong_answer"] * 2, None, "fresh_probe"),
    "paused": (["paused"] * 2, None, "paused"),
    "max_unhealthy": (["storm"], None, "max_unhealthy"),
    "canaries": (["monitor_half_cut"], None, "canaries"),
    "attempt_budget": (["flapping"], None, "attempt_budget"),
    "cooldown": (["flapping"] * 2, None, "cooldown"),
    "server_lease": (["whole_server"] * 3, None, "server_lease"),
    "neighbours": (["dead_ssh_living_neighbours"], None, "neighbours"),
    "may_reboot": (["server_dead_not_allowed"], None, "may_reboot"),
    "may_boot": (["server_off_not_allowed"], None, "may_reboot"),
    "mode": (["observed", "denied"], None, "observed"),
    "maintenance": (["maintenance"], None, "maintenance"),
    "silence": (["silenced"], None, "silenced"),
    "said": (["silenced_late"] * 4, None, "silenced"),
    "needs": (["needs"], None, "needs"),
    "known_hosts": (["wrong_answer"], "host_key", "host_key"),
    "stored": (["wrong_answer"], None, "accepted"),
}


def campaign(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run one in a process of its own; return its status, its summary and all that it said."""
    summary = folder / "summary.json"
    argv = [sys.executable, "-m", "stack", "dev", "campaign", "--json", str(summary), *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    said = done.stdout + done.stderr
    assert summary.exists(), said
    return done.returncode, json.loads(summary.read_text()), said


def test_a_short_campaign_breaks_nothing(tmp_path: Path) -> None:
    kinds = ("container_stopped", "wrong_answer", "server_dead", "heals_itself", "paused")
    chosen = [word for kind in kinds for word in ("--outage", kind)]
    status, summary, said = campaign(tmp_path, "--incidents", "12", "--seed", "7", *chosen)
    assert (status, summary["broken"]) == (0, []), said
    assert summary["checked"]["fresh_probe"] >= 4, said
    assert summary["checked"]["ends"] >= 10, said


@pytest.mark.full
@pytest.mark.parametrize("rule", CAUGHT)
def test_a_rule_that_is_missing_is_caught(rule: str, tmp_path: Path) -> None:
    outages, fault, invariant = CAUGHT[rule]
    chosen = [word for kind in sorted(set(outages)) for word in ("--outage", kind)]
    chosen += ["--fault", fault or "none", "--incidents", str(len(outages)), "--within", "90"]
    status, summary, said = campaign(tmp_path, *chosen, "--launcher", f"-m tests.campaign.without {rule}")
    assert status == 1, said
    assert invariant in {one["invariant"] for one in summary["broken"]}, said
    assert "replay with: ./sitemedic dev campaign --incidents" in said


@pytest.mark.full
def test_with_all_rules_the_same_outages_break_nothing(tmp_path: Path) -> None:
    kinds = sorted({kind for outages, _, _ in CAUGHT.values() for kind in outages})
    chosen = [word for kind in kinds for word in ("--outage", kind)]
    chosen += ["--fault", "none", "--incidents", str(len(kinds))]
    status, summary, said = campaign(tmp_path, *chosen)
    assert (status, summary["broken"]) == (0, []), said
