"""The benchmarks run, and say what they measured."""

import json
import subprocess
import sys
from pathlib import Path

import dns.message
import pytest

from benchmarks.names import answer_to

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.full
@pytest.mark.needs("prometheus-blackbox-exporter")
def test_the_exporter_benchmark_tells_the_cost_of_each_peer(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    flags = ("--seconds=2", "--rate=20", "--sites=10", "--warm-up=0.5", f"--json={file}")

    ended = subprocess.run(
        (sys.executable, "-m", "benchmarks.exporter", *flags),
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    found = json.loads(file.read_text())
    kinds = [figure["kind"] for figure in found["figures"] if "names" not in figure["kind"]]
    assert kinds == [
        "sitemedic scheduled", "blackbox /probe", "sitemedic /probe",
        "libcurl alone", "libcurl alone, closed loop",
        "blackbox /probe, closed loop", "sitemedic /probe, closed loop",
        "blackbox /probe, HTTPS", "sitemedic /probe, HTTPS",
    ]  # fmt: skip
    assert all(sample["probes"] == 20 for sample in found["samples"][1:3])
    assert found["samples"][0]["series_per_site"] > 20
    assert all(one["probes"] > 0 for one in found["accuracy"])
    assert "| sitemedic scheduled |" in " ".join(ended.stdout.split())


def test_the_benchmarks_name_server_answers_for_a_and_is_mute_where_it_is_asked_to_be() -> None:
    asked = dns.message.make_query("site-1.benchmark.test", "A")
    other = dns.message.make_query("site-1.benchmark.test", "AAAA")
    mute = dns.message.make_query("mute-1.benchmark.test", "A")

    answers = [answer_to(query.to_wire()) for query in (asked, other, mute)]

    assert answers[0] is not None
    assert answers[1] is not None
    found, nothing = (dns.message.from_wire(answer) for answer in answers[:2] if answer is not None)
    assert asked.is_response(found)
    assert [str(one) for one in found.answer] == ["site-1.benchmark.test. 0 IN A 127.0.0.1"]
    assert nothing.answer == []
    assert answers[2] is None


@pytest.mark.full
@pytest.mark.timeout(420)
@pytest.mark.needs("sshd", "ssh-keygen")
def test_the_remediator_benchmark_tells_what_was_measured_and_what_the_machine_itself_takes(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bench.json"
    sizes = ("--posts=6", "--many-posts=2", "--incidents=12", "--storm=12", "--restarts=1", "--seconds=1")

    ended = subprocess.run(
        (sys.executable, "-m", "stack", "dev", "bench", "remediator", *sizes, f"--json={file}"),
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    figures = {(one["measure"], one["load"]): one for one in json.loads(file.read_text())["figures"]}
    assert figures["fsync of 4 KB", ""]["count"] == 200
    for load in ("nothing open", "12 held back", "12 worked on"):
        assert figures["one alert", load]["count"] == 6
        assert figures["200 alerts", load]["count"] == 2
        assert {"CPU %", "stolen %", "bare p99"} < figures["one alert", load]["counts"].keys()
    storm = figures["a storm", "12 sites"]["counts"]
    assert (storm["stored"], storm["opened"], storm["acts"]) == ([12], [12], [0])
    assert figures["to docker restart", "one at a time"]["count"] == 1
    assert ("CPU at rest", "12 open") in figures
    assert all(one["p50"] <= one["p99"] <= one["max"] for one in figures.values())
    assert "one alert | nothing open |" in " ".join(ended.stdout.split())
