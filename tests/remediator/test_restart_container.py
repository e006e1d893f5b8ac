"""`restart_container` on a real Docker engine over a real sshd: nothing here is called docker but Docker."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.server import ActionError, Reason, Server
from remediator.actions import ACTIONS, restart_container
from remediator.deciding.playbook import hindrance
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.model.findings import Findings, read, sentence
from remediator.model.incident import Kind
from remediator.model.seen import Look
from remediator.on_server import evidence
from tests.docker_engine import DockerEngine, needs_docker
from tests.remediator import acting
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

pytestmark = needs_docker
ACTION = ACTIONS["restart_container"]


@pytest.fixture(scope="module")
def ssh(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with running_ssh_server(tmp_path_factory.mktemp("ssh"), engine.environment) as server:
        yield server


@pytest.fixture
def target(engine: DockerEngine, ssh: SshServer) -> Iterator[Target]:
    yield Target("shop", ssh.server(), container="shop", stop_timeout=1)
    engine.clear()


@pytest.fixture(autouse=True)
def soon_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_container, "STABLE_SECONDS", 0.5)


@pytest.fixture
def world() -> World:
    return World(connect, None, time.time)


def settled(target: Target, marks: Marks, world: World) -> Step:
    return acting.settled(ACTION, target, marks, world, 30)


def refused(target: Target, world: World) -> ActionError:
    return acting.refused(ACTION, target, world)


def test_a_killed_container_is_restarted_once(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop")
    engine.docker("kill", "shop")
    before, began = engine.started_at("shop"), time.time()
    marks = ACTION.prepare(target, world)
    assert json.loads(json.dumps(marks)) == marks
    marks = ACTION.act(target, marks, world)
    step = settled(target, marks, world)
    assert step.progress is Progress.DONE, step
    assert engine.inspect("shop")["State"]["Running"] is True
    assert engine.started_at("shop") != before
    assert len(engine.events("shop", began)) == 1


def test_a_running_container_is_stopped_and_started(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop")
    before = engine.started_at("shop")
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    assert settled(target, marks, world).progress is Progress.DONE
    assert engine.started_at("shop") > before


def test_a_stopped_container_is_started(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop")
    engine.docker("stop", "shop")
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    assert settled(target, marks, world).progress is Progress.DONE


def test_a_compose_service_is_found_by_its_labels(engine: DockerEngine, target: Target, world: World) -> None:
    labels = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")
    engine.run("shop-web-1", *labels)
    engine.run("shop-web-run-1", *labels, "--label", "com.docker.compose.oneoff=True")
    engine.docker("stop", "shop-web-1")
    compose = replace(target, container=None, compose=("shop", "web"))
    marks = ACTION.act(compose, ACTION.prepare(compose, world), world)
    assert settled(compose, marks, world).progress is Progress.DONE
    assert engine.inspect("shop-web-1")["State"]["Running"] is True


def test_a_service_of_two_containers_is_ambiguous(engine: DockerEngine, target: Target, world: World) -> None:
    labels = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")
    engine.run("shop-web-1", *labels)
    engine.run("shop-web-2", *labels)
    error = refused(replace(target, container=None, compose=("shop", "web")), world)
    assert (error.reason, error.permanent) == (Reason.AMBIGUOUS_TARGET, True)
    assert "shop-web-1, shop-web-2" in error.message


def test_a_missing_container_is_not_found(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop-2")
    for missing in (target, replace(target, container=None, compose=("shop", "web"))):
        error = refused(missing, world)
        assert (error.reason, error.permanent) == (Reason.NOT_FOUND, True)
        assert "there is no container" in error.message


def test_a_piece_of_an_id_is_no_name(engine: DockerEngine, target: Target, world: World) -> None:
    found = engine.run("shop")
    assert refused(replace(target, container=found[:12]), world).reason is Reason.NOT_FOUND


def test_an_option_is_no_name(target: Target, world: World) -> None:
    error = refused(replace(target, container="--help"), world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)


def test_a_paused_container_is_left_alone(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop")
    engine.docker("pause", "shop")
    error = refused(target, world)
    engine.docker("unpause", "shop")
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)


def test_a_container_that_ends_at_once_has_failed(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop", command=("sh", "-c", "echo out of luck; exit 7"))
    until(lambda: engine.inspect("shop")["State"]["Status"] == "exited", 10, "its end")
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    step = settled(target, marks, world)
    assert (step.progress, step.reason) == (Progress.FAILED, Reason.COMMAND_FAILED)
    assert "exit code 7" in step.detail


def test_a_container_that_docker_restarts_again_and_again_has_failed(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "--restart", "always", command=("sh", "-c", "sleep 0.2; exit 1"))
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    assert settled(target, marks, world).progress is Progress.FAILED


def test_a_crash_loop_is_found_before_anything_is_restarted(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "--restart", "always", command=("sh", "-c", "sleep 0.1; exit 3"))

    def found() -> Findings:
        return read(Look(world.now(), "ok", evidence.gather(target, world).to_json()))

    looping = until(lambda: (one := found()).loops and one, 30, "Docker to restart it")
    assert isinstance(looping, Findings)
    assert "shop is restarted by Docker again and again" in sentence(looping)
    stop = hindrance("restart_container", Kind.DOES_NOT_ANSWER, looping, target.server)
    assert stop is not None
    assert stop.reason == "crash_loop"


def test_a_container_that_was_restarted_once_is_in_no_loop(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "--restart", "always")
    engine.docker("kill", "shop")
    look = Look(world.now(), "ok", evidence.gather(target, world).to_json())
    assert not read(look).loops


def test_a_health_check_is_waited_for(engine: DockerEngine, target: Target, world: World) -> None:
    check = ("--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-start-period", "60s")
    engine.run("shop", *check)
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    until(lambda: world.now() > float(str(marks["acted_at"])) + 0.6, 5, "its first seconds")
    step = ACTION.settle(target, marks, world)
    assert (step.progress, "starting" in step.detail) == (Progress.WAIT, True)
    engine.docker("exec", "shop", "touch", "/tmp/well")
    assert settled(target, marks, world).progress is Progress.DONE


def test_a_health_check_that_says_unhealthy_is_a_failure(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "--health-cmd", "false", "--health-interval", "500ms", "--health-retries", "2")
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    step = settled(target, marks, world)
    assert (step.progress, "unhealthy" in step.detail) == (Progress.FAILED, True)


def test_whether_it_happened_is_read_from_the_engine(engine: DockerEngine, target: Target) -> None:
    now = time.time()
    world = World(connect, None, lambda: now)
    engine.run("shop")
    marks = ACTION.prepare(target, world)
    assert ACTION.happened(target, marks, world) is None, "a restart may still wait for the stop"
    now += target.stop_timeout + 31
    assert ACTION.happened(target, marks, world) is False
    engine.docker("restart", "-t", "0", "shop")
    assert ACTION.happened(target, marks, world) is True


def test_a_restart_that_comes_late_is_not_sent(engine: DockerEngine, target: Target) -> None:
    times = iter([1000.0, 1000.0, 1011.0])
    world = World(connect, None, lambda: next(times))
    engine.run("shop")
    before, marks = engine.started_at("shop"), ACTION.prepare(target, world)
    with pytest.raises(ActionError) as caught:
        ACTION.act(target, marks, world)
    assert caught.value.reason is Reason.UNREACHABLE
    assert engine.started_at("shop") == before


def test_a_container_made_anew_counts_as_restarted(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop")
    marks = ACTION.prepare(target, world)
    engine.docker("rm", "--force", "shop")
    assert ACTION.happened(target, marks, world) is None
    engine.run("shop")
    assert ACTION.happened(target, marks, world) is True


def test_nobody_to_ask_is_no_answer(engine: DockerEngine, target: Target, world: World) -> None:
    engine.run("shop")
    marks = ACTION.prepare(target, world)
    assert target.server.ssh is not None
    nowhere = Server("web-1", replace(target.server.ssh, port=1))
    assert ACTION.happened(replace(target, server=nowhere), marks, world) is None


def test_a_connection_cut_during_the_restart_is_unknown_and_then_found_done(
    engine: DockerEngine, world: World, tmp_path: Path
) -> None:
    engine.run("shop", command=("sleep", "1000"))  # deaf to SIGTERM: the stop takes its whole time
    with running_ssh_server(tmp_path, engine.environment) as own:
        target = Target("shop", own.server(), container="shop", stop_timeout=3)
        marks, began = ACTION.prepare(target, world), time.time()

        def cut() -> None:
            until(lambda: engine.events("shop", began, "kill"), 10, "the stop")
            own.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(ActionError) as caught:
            ACTION.act(target, marks, world)
        thread.join()
        assert (caught.value.reason, caught.value.permanent) == (Reason.UNKNOWN, False)
        assert ACTION.happened(target, marks, world) is None
        until(lambda: ACTION.happened(target, marks, world), 15, "the engine to end what it began")
        assert settled(target, marks, world).progress is Progress.DONE
    assert len(engine.events("shop", began)) == 1
    engine.clear()


def test_the_evidence_is_what_a_restart_destroys(engine: DockerEngine, target: Target, world: World) -> None:
    # Docker copies the two streams side by side: the pause puts the last words last.
    script = "for n in $(seq 30); do echo line $n; done; sleep 0.5; echo fatal >&2; exit 7"
    command = ("sh", "-c", script)
    engine.run("shop", command=command)
    until(lambda: engine.inspect("shop")["State"]["Status"] == "exited", 10, "its end")
    found = evidence.gather(target, world).to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["ssh"] == "ok"
    container = found["container"]
    assert isinstance(container, dict)
    assert (container["status"], container["exit_code"], container["oom_killed"]) == ("exited", 7, False)
    tail = found["log_tail"]
    assert isinstance(tail, list)
    said = [str(line).partition(" ")[2] for line in tail]
    assert len(said) == 20
    assert {"line 30", "fatal"} <= set(said)


def test_evidence_never_raises(target: Target, world: World) -> None:
    assert target.server.ssh is not None
    nowhere = replace(target, server=Server("web-1", replace(target.server.ssh, port=1)))
    found = evidence.gather(nowhere, world)
    assert (found.ssh, found.container) == ("unreachable", None)
    assert found.problems


def test_an_engine_that_is_gone_is_told(tmp_path: Path, world: World) -> None:
    gone = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    with running_ssh_server(tmp_path / "ssh", gone) as own:
        error = refused(Target("shop", own.server(), container="shop"), world)
    assert (error.reason, error.permanent) == (Reason.COMMAND_FAILED, False)
    assert "Docker does not run there" in error.message


def test_the_local_server_restarts_without_ssh(
    engine: DockerEngine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.run("shop")
    target = Target("shop", Server("here", local=True), container="shop", stop_timeout=0)
    marks = ACTION.act(target, ACTION.prepare(target, world), world)
    assert settled(target, marks, world).progress is Progress.DONE
    engine.clear()
