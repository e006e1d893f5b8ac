"""What the exporter tells of the containers of a real engine, whatever happens to them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker_engine import (
    IMAGE,
    DockerEngine,
    engine_folder,
    needs_docker,
    started_engine,
)
from tests.exporter.containers.watching import Watching, watching
from tests.waiting import until

pytestmark = needs_docker

CRASHES = ("sh", "-c", "sleep 0.3; exit 3")
HELD = ("sh", "-c", "x=$(seq 1 100000000)")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine) -> Iterator[Watching]:
    with watching(tmp_path_factory.mktemp("exporter"), engine.host) as seen:
        seen.engine = engine
        until(lambda: seen.server()["up"], 20, "the engine to be asked")
        yield seen


@pytest.fixture
def seen(shared: Watching) -> Iterator[Watching]:
    """One exporter for all: each test has names of its own, for counters outlive a container."""
    yield shared
    shared.engine.clear()


def test_a_container_is_up_until_it_is_killed_and_up_again_once_it_is_started(seen: Watching) -> None:
    seen.engine.run("shop", "--memory", "64m", "--cpus", "0.5")
    seen.until_state("shop", "running")
    assert seen.value("sitemedic_container_up", name="shop", server="here", instance="here") == 1
    assert seen.value("sitemedic_container_cpu_limit_cores", name="shop") == 0.5
    assert seen.value("sitemedic_container_memory_limit_bytes", name="shop") == 64 * 2**20

    seen.engine.docker("kill", "shop")
    told = seen.until_state("shop", "exited")
    assert told["exit_code"] == 137
    assert not told["oom_killed"]
    assert seen.value("sitemedic_container_up", name="shop") == 0
    assert seen.value("sitemedic_container_down_since_timestamp_seconds", name="shop") > 0
    assert seen.samples("container_cpu_usage_seconds_total", name="shop") == []

    seen.engine.docker("start", "shop")
    seen.until_state("shop", "running")
    assert seen.samples("sitemedic_container_down_since_timestamp_seconds", name="shop") == []
    until(lambda: seen.value("sitemedic_container_restarts_total", name="shop") == 1, 20, "one restart")
    image = seen.samples("sitemedic_container_info", name="shop")[0].labels["image"]
    assert image == IMAGE


@pytest.mark.full
def test_a_container_that_is_killed_for_want_of_memory_says_so(seen: Watching) -> None:
    seen.engine.run("greedy", "--memory", "8m", "--memory-swap", "8m", command=HELD)
    told = seen.until_state("greedy", "exited", 40)
    until(lambda: seen.value("sitemedic_container_oom_kills_total", name="greedy") >= 1, 20, "the kill")
    assert until(lambda: seen.container("greedy")["oom_killed"], 20, "it to be told")
    assert told["up"] is False


@pytest.mark.full
def test_a_paused_container_is_not_up(seen: Watching) -> None:
    seen.engine.run("sleeper")
    seen.until_state("sleeper", "running")
    seen.engine.docker("pause", "sleeper")
    assert seen.until_state("sleeper", "paused")["up"] is False
    seen.engine.docker("unpause", "sleeper")
    seen.until_state("sleeper", "running")
    assert seen.value("sitemedic_container_restarts_total", name="sleeper") == 0


@pytest.mark.full
def test_a_container_that_fails_its_own_check_is_unhealthy_since_then(seen: Watching) -> None:
    check = ("--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1")
    seen.engine.run("patient", *check)
    until(lambda: seen.container("patient")["health"] == "unhealthy", 30, "the check to fail")
    assert seen.value("sitemedic_container_health_info", name="patient", health="unhealthy") == 1
    assert seen.value("sitemedic_container_unhealthy_since_timestamp_seconds", name="patient") > 0
    assert seen.value("sitemedic_container_up", name="patient") == 1

    seen.engine.docker("exec", "patient", "touch", "/tmp/well")
    until(lambda: seen.container("patient")["health"] == "healthy", 30, "the check to succeed")
    assert seen.samples("sitemedic_container_unhealthy_since_timestamp_seconds", name="patient") == []


@pytest.mark.full
def test_every_start_of_a_crash_loop_is_counted(seen: Watching) -> None:
    seen.engine.run("loops", "--restart", "on-failure:4", command=CRASHES)
    until(lambda: seen.container("loops")["state"] == "exited" and seen.container("loops")["restarts"] == 4,
          40, "four restarts and no more")  # fmt: skip
    assert seen.engine.inspect("loops")["RestartCount"] == 4
    assert seen.value("sitemedic_container_exit_code", name="loops") == 3


@pytest.mark.full
def test_a_container_made_anew_under_its_name_goes_on_with_its_counters(seen: Watching) -> None:
    first = seen.engine.run("phoenix")
    seen.until_state("phoenix", "running")
    seen.engine.docker("restart", "--time", "1", "phoenix")
    until(lambda: seen.container("phoenix")["restarts"] == 1, 20, "the restart")
    seen.engine.docker("rm", "--force", "phoenix")
    until(lambda: "phoenix" not in seen.names(), 20, "it to leave")
    second = seen.engine.run("phoenix")
    assert first != second
    seen.until_state("phoenix", "running")
    until(lambda: seen.container("phoenix")["restarts"] == 2, 20, "the start of the new one")
    assert seen.value("sitemedic_container_restarts_total", name="phoenix") == 2


@pytest.mark.full
def test_an_engine_that_is_stopped_and_started_again_is_told_and_taken_up_again(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"  # where the engine is, whichever runs
    with engine_folder() as folder, started_engine(folder, own_network=False) as first:
        socket.symlink_to(first.host.removeprefix("unix://"))
        first.import_image()
        first.run("stays", "--restart", "always")
        first.run("ends")
        with watching(tmp_path, f"unix://{socket}") as seen:
            seen.until_state("stays", "running")
            seen.until_state("ends", "running")
            os.kill(first.pid, signal.SIGTERM)
            first.process.wait(60)
            until(lambda: seen.server()["up"] is False, 60, "the engine to be missed")
            assert seen.value("sitemedic_docker_up", server="here") == 0
            assert len(seen.samples("sitemedic_docker_failure", reason="engine_down")) == 1
            assert seen.names() == {"stays", "ends"}  # what was last known is not taken back
            assert seen.samples("container_cpu_usage_seconds_total", name="stays") == []
            assert seen.exporter.said().count("containers cannot be watched") == 1

            with started_engine(folder, own_network=False) as second:
                socket.unlink()
                socket.symlink_to(second.host.removeprefix("unix://"))
                until(lambda: seen.server()["up"], 60, "the engine to be asked again")
                assert seen.until_state("ends", "exited")["up"] is False
                seen.until_state("stays", "running")
                until(lambda: seen.container("stays")["restarts"] == 1, 20, "its start to be counted")
                assert seen.samples("sitemedic_docker_failure", server="here") == []
                second.clear()
