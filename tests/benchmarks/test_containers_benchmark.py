"""The containers' benchmark runs, and says what each way costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.containers_report import Run, Sample, table
from tests.docker_engine import needs_docker

ROOT = Path(__file__).resolve().parents[2]


def sample(call: str, exporter: float, server: float) -> Sample:
    return Sample("SSH", call, 100, 5, 1, exporter, server, 2 * server, 0.2, 1.0)


def test_a_share_of_a_processor_is_what_a_list_and_the_usage_cost_as_often_as_they_are_asked_for() -> None:
    run = Run((sample("list", 0.03, 0.1), sample("usage", 0.01, 0.05)))
    assert run.share("SSH", 100, "exporter_cpu") == pytest.approx(0.03 / 30 + 0.01 / 10)
    assert run.share("SSH", 100, "server_cpu") == pytest.approx(0.3 / 30 + 0.15 / 10)
    assert "| 30.0 / 10.0 |" in " ".join(table(run).split())


@pytest.mark.full
@needs_docker[0]
@needs_docker[1]
def test_the_benchmark_tells_the_cost_of_each_way(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    ended = subprocess.run(
        (sys.executable, "-m", "benchmarks.containers", "--containers=2", "--rounds=2", f"--json={file}"),
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(file.read_text())
    assert [one["way"] for one in found["figures"]] == ["socket", "API only", "SSH"]
    requests = {(one["way"], one["call"]): one["requests"] for one in found["samples"]}
    assert (requests["SSH", "usage"], requests["API only", "usage"], requests["socket", "usage"]) == (1, 2, 0)
    assert all(one["server_cpu"] > 0 for one in found["samples"] if one["way"] == "SSH")
