"""The fault campaign: whatever servers do, the exporter lives and leaks nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.leaks import Sample, slope

ROOT = Path(__file__).resolve().parents[2]


def campaign(file: Path, *flags: str, seconds: float) -> dict[str, Any]:
    ended = subprocess.run(
        (sys.executable, "-m", "stack", "dev", "faults", f"--json={file}", *flags),
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert file.exists(), ended.stderr[-3000:]
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def check(found: dict[str, Any], probes: int) -> None:
    assert found["probes"] >= probes
    assert (found["own_faults"], found["tracebacks"]) == (0, 0)
    assert found["reloads"]["faults"] == []
    # On a machine that has much else to do an answer may come too late; nothing else may be otherwise.
    others = [(one["site"], one["reason"], one["detail"]) for one in found["others"]]
    assert [one for one in others if one[1] != "timeout"] == []
    assert found["descriptors"]["after"] <= found["descriptors"]["before"] + 8
    told = {row["behaviour"] for row in found["ledger"]}
    assert len(told) > 200


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_campaign_of_faults_is_stood(tmp_path: Path):
    found = campaign(tmp_path / "f.json", "--probes=20000", "--rate=150", "--reloads=40", seconds=800)
    check(found, 20_000)
    memory = found["resident_bytes"]
    assert memory["end"] - memory["warm"] < 60 << 20


def test_the_slope_is_that_of_a_line():
    line = [Sample(float(at), at, 1000 + 3 * at, 5) for at in range(10)]
    assert round(slope(line), 6) == 3
    assert slope(line[:1]) == 0
