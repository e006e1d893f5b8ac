"""The limits that colours and lines stand for, read out of the alert rules: both turn at the same value."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


@cache
def rules() -> dict[str, str]:
    """Return the expression of every alert and recording rule by its name."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                found[name] = f"{found.get(name, '')}\n{rule['expr']}"
    return found


def number_in(rule: str, pattern: str) -> float:
    """Return the one number that `pattern` captures in a rule's expression; ValueError if not one."""
    found = {float(text) for text in re.findall(pattern, rules()[rule])}
    if len(found) != 1:
        raise ValueError(f"{rule}: expected one number for {pattern!r}, found {sorted(found)}")
    return found.pop()


def reconcile_seconds() -> float:
    """Return after how many seconds without a round the remediator is called stale."""
    return number_in("RemediatorStale", r"last_run_timestamp_seconds\s*>\s*(\d+)")


def default_objective() -> float:
    """Return the share of good probes that is promised where a site says nothing else."""
    schema: Any = json.loads((ROOT / "docs" / "sites.schema.json").read_text(encoding="utf-8"))
    return float(schema["$defs"]["AlertOptions"]["properties"]["objective"]["default"])


def lateness_seconds() -> float:
    """Return how late one probe in a hundred may begin before ExporterProbesLate fires."""
    return number_in("ExporterProbesLate", r"\)\) > (\d+)")
