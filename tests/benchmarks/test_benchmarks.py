"""The benchmarks run, and say what they measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.full
@pytest.mark.needs("prometheus-blackbox-exporter")
def test_the_exporter_benchmark_tells_the_cost_of_each_peer(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    flags = ("--seconds=2", "--rate=20", "--sites=10", "--warm-up=0.5", f"--json={file}")

    ended = subprocess.run(
        (sys.executable, "-m", "benchmarks.exporter", *flags),
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    found = json.loads(file.read_text())
    assert [figure["kind"] for figure in found["figures"]] == [
        "sitemedic scheduled", "blackbox /probe", "sitemedic /probe",
    ]  # fmt: skip
    assert all(sample["probes"] == 20 for sample in found["samples"][1:])
    assert found["samples"][0]["series_per_site"] > 20
    assert "| sitemedic scheduled |" in ended.stdout
