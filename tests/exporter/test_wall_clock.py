"""A wall clock that is set, forwards and backwards, while a real exporter runs (libfaketime)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.programs import find_program
from tests.exporter.running import Exporter, exporter, site
from tests.waiting import until

TOKEN = "0123456789abcdef0123"

pytestmark = pytest.mark.needs("libfaketime")


@contextmanager
def under_a_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Exporter, Path]]:
    """Run an exporter of three sites; its wall clock is as wrong as the file says."""
    clock = folder / "clock"
    clock.write_text("+0\n")
    (folder / "token").write_text(TOKEN)
    with site() as told, monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(find_program("libfaketime")))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        sites = [
            {"name": "often", "url": told.url, "interval": "1s"},
            {"name": "seldom", "url": told.url, "interval": "1h"},
            {"name": "down", "url": "tcp://127.0.0.1:1", "interval": "1s"},
            {"name": "job", "url": "heartbeat://job", "every": "1h", "grace": "1m", "token_file": "token"},
        ]
        with exporter(folder, {"sites": sites}) as running:
            yield running, clock


def times(running: Exporter, name: str) -> dict[str, float]:
    lines = running.get("/metrics").text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(f"sitemedic_{name}_timestamp_seconds"))
    return {series.partition('site="')[2].partition('"')[0]: float(value) for series, _, value in found}


def probes(running: Exporter, name: str) -> float:
    return running.metric("sitemedic_probes_total", site=name)


@pytest.mark.full
@pytest.mark.parametrize("hours", [2, -2])
def test_a_clock_that_is_set_hides_no_probe_and_makes_nobody_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    with under_a_clock(tmp_path, monkeypatch) as (running, clock):
        running.get(f"/heartbeat/{TOKEN}")
        until(lambda: probes(running, "seldom") == 1 or None, 40, "the site that is probed seldom")
        until(lambda: probes(running, "down") >= 2 and probes(running, "job") >= 1, 40, "the first probes")
        last, failing = times(running, "last_probe"), times(running, "failing_since")
        count, reloaded = probes(running, "often"), times(running, "config_last_reload_success")[""]
        clock.write_text(f"{hours:+d}h\n")
        until(lambda: "the wall clock was set" in running.said(), 30, "the exporter to notice")
        moved = times(running, "last_probe")
        for name in ("seldom", "job", "often"):
            assert moved[name] == pytest.approx(last[name] + hours * 3600, abs=60), name
        assert times(running, "failing_since")["down"] == pytest.approx(failing["down"] + hours * 3600, abs=5)
        assert times(running, "config_last_reload_success")[""] == pytest.approx(
            reloaded + hours * 3600, abs=5
        )
        until(lambda: probes(running, "often") >= count + 3, 30, "the schedule to go on")
        assert running.metric("sitemedic_exporter_probes_skipped_total") < 600  # 7,200 by the wall clock
        assert running.site("job")["success"] is True
        assert not any(one["stale"] for one in running.get("/api/v1/sites").json()["sites"])
