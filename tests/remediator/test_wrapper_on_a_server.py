"""The wrapper as a real sshd's forced command, before a real Docker engine."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.server import ActionError, Reason
from remediator.actions import ACTIONS, restart_container
from remediator.model.action import Marks, Progress, Step, Target, World
from remediator.on_server import docker, evidence, wrapper
from tests.docker_engine import DockerEngine, needs_docker
from tests.remediator import acting
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

pytestmark = needs_docker
LABELS = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")
SECRET = "planted-database-password"


@pytest.fixture(scope="module")
def wrapped(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Wrapped:
    found = Wrapped(tmp_path_factory.mktemp("wrapper"))
    found.allow("container shop", "compose shop/web", "hook reindex", f"docker_host {engine.host}")
    return found


@pytest.fixture(scope="module")
def ssh(wrapped: Wrapped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with running_ssh_server(tmp_path_factory.mktemp("ssh")) as server:
        line = wrapped.line(server.key_file.with_suffix(".pub").read_text())
        (server.folder / "authorized_keys").write_text(line)
        yield server


@pytest.fixture
def target(engine: DockerEngine, ssh: SshServer) -> Iterator[Target]:
    yield Target("shop", ssh.server(), container="shop", stop_timeout=1, hook="reindex")
    engine.clear()


@pytest.fixture(autouse=True)
def soon_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_container, "STABLE_SECONDS", 0.5)


@pytest.fixture
def world() -> World:
    return World(connect, None, time.time)


def settled(action: str, target: Target, marks: Marks, world: World) -> Step:
    return acting.settled(ACTIONS[action], target, marks, world, 30)


def test_a_container_is_restarted_through_the_wrapper(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop")
    engine.docker("kill", "shop")
    before, began = engine.started_at("shop"), time.time()
    action = ACTIONS["restart_container"]
    marks = action.act(target, action.prepare(target, world), world)
    assert settled("restart_container", target, marks, world).progress is Progress.DONE
    assert engine.started_at("shop") != before
    assert len(engine.events("shop", began)) == 1
    seen = evidence.gather(target, world)
    assert (seen.ssh, seen.problems) == ("ok", ())
    assert seen.container is not None
    assert seen.container.running
    assert "serving" in " ".join(seen.log_tail)


def test_a_compose_service_is_restarted_and_nothing_beside_it(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop-web-1", *LABELS)
    engine.run("shop-web-run-1", *LABELS, "--label", "com.docker.compose.oneoff=True")
    engine.run("bystander")
    compose = replace(target, container=None, compose=("shop", "web"))
    action = ACTIONS["restart_container"]
    began = time.time()
    marks = action.act(compose, action.prepare(compose, world), world)
    assert settled("restart_container", compose, marks, world).progress is Progress.DONE
    events = {name: len(engine.events(name, began)) for name in ("shop-web-1", "shop-web-run-1", "bystander")}
    assert events == {"shop-web-1": 1, "shop-web-run-1": 0, "bystander": 0}


def test_the_same_is_read_with_and_without_the_wrapper(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "-e", f"PASSWORD={SECRET}", "--health-cmd", "true", "--restart", "always")
    through = docker.find(connect(target.server), target)
    direct = docker.parse_inspect(engine.docker("inspect", "--type", "container", "shop"))[0]
    assert replace(through, health=None) == replace(direct, health=None)
    assert through.health in ("starting", "healthy")


def test_no_variable_of_a_container_leaves_the_server(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("shop", "-e", f"PASSWORD={SECRET}", "--label", f"hidden={SECRET}")
    with world.connect(target.server) as connector:
        result = connector.run(docker.inspect_argv(["shop"]), 20)
    assert result.exit_status == 0
    assert SECRET not in result.stdout + result.stderr


def test_a_container_that_is_not_on_the_list_is_refused_for_good(
    engine: DockerEngine, target: Target, world: World
) -> None:
    engine.run("other")
    error = acting.refused(ACTIONS["restart_container"], replace(target, container="other"), world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    assert "add the line 'container other' to " in error.message


def test_a_missing_container_is_told_as_ever(engine: DockerEngine, target: Target, world: World) -> None:
    assert acting.refused(ACTIONS["restart_container"], target, world).reason is Reason.NOT_FOUND


def test_nothing_else_is_to_be_had_with_the_key(ssh: SshServer, engine: DockerEngine, tmp_path: Path) -> None:
    engine.run("bystander")
    before = engine.started_at("bystander")
    ways = [
        ["ssh", "-T", "{}", ""],
        ["ssh", "-tt", "{}", "sh"],
        ["ssh", "{}", "docker restart -t 1 bystander"],
        ["ssh", "{}", f"touch {tmp_path}/there"],
        ["ssh", "-o", "SendEnv=PATH", "{}", "docker rm -f bystander"],
        ["sftp", "-b", "-", "{}"],
        ["ssh", "-W", f"127.0.0.1:{ssh.port}", "{}"],
    ]
    options = [
        *("-i", str(ssh.key_file), "-o", f"UserKnownHostsFile={ssh.known_hosts_file}", "-o", "BatchMode=yes"),
        *("-F", "none", "-o", f"Port={ssh.port}", "-o", "IdentitiesOnly=yes"),
    ]
    for program, *words in ways:
        command = [program, *options, *(word.format("127.0.0.1") for word in words)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL)
        assert done.returncode != 0, command
    assert not (tmp_path / "there").exists()
    assert engine.started_at("bystander") == before


def test_a_hook_runs_once_and_its_end_is_awaited(
    wrapped: Wrapped, target: Target, world: World, tmp_path: Path
) -> None:
    wrapped.hook("reindex", f"echo x >>{tmp_path}/runs; until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    action = ACTIONS["run_hook"]
    marks = action.act(target, action.prepare(target, world), world)
    assert action.settle(target, marks, world).progress is Progress.WAIT
    assert action.happened(target, marks, world) is True
    action.act(target, marks, world)  # as a command that arrives twice
    (tmp_path / "go").touch()
    assert settled("run_hook", target, marks, world).progress is Progress.DONE
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_hook_that_fails_is_told_with_its_last_words(
    wrapped: Wrapped, target: Target, world: World, tmp_path: Path
) -> None:
    wrapped.hook("reindex", "echo first; echo 'no disk left' >&2; exit 4")
    action = ACTIONS["run_hook"]
    marks = action.act(target, action.prepare(target, world), world)
    step = settled("run_hook", target, marks, world)
    assert step.progress is Progress.FAILED
    assert step.detail == "hook reindex ended with status 4: no disk left"


def test_a_hook_that_was_asked_for_and_had_not_run_never_does(
    wrapped: Wrapped, target: Target, world: World, tmp_path: Path
) -> None:
    wrapped.hook("reindex", f"touch {tmp_path}/ran")
    action = ACTIONS["run_hook"]
    marks = action.prepare(target, world)
    assert action.happened(target, marks, world) is False
    marks = action.act(target, marks, world)  # as a command that was still under way
    assert settled("run_hook", target, marks, world).progress is Progress.FAILED
    assert not (tmp_path / "ran").exists()


def test_a_lost_answer_is_an_unknown_outcome_and_the_hook_goes_on(
    wrapped: Wrapped, target: Target, ssh: SshServer, world: World, tmp_path: Path
) -> None:
    wrapped.hook("reindex", f"echo x >>{tmp_path}/runs; sleep 0.5; echo end >>{tmp_path}/runs")
    action = ACTIONS["run_hook"]
    marks = action.prepare(target, world)
    action.act(target, marks, world)
    ssh.cut()
    assert until(lambda: action.happened(target, marks, world), 20, "its being told") is True
    assert settled("run_hook", target, marks, world).progress is Progress.DONE
    assert (tmp_path / "runs").read_text() == "x\nend\n"


@pytest.mark.parametrize(
    ("hook", "words"),
    [("other", "add the line 'hook other' to /etc/sitemedic/allowed"), ("gone", "gone is not there")],
)
def test_a_hook_that_is_not_allowed_is_refused_before_anything_is_done(
    wrapped: Wrapped, target: Target, world: World, engine: DockerEngine, hook: str, words: str
) -> None:
    wrapped.allow("hook gone", "hook reindex", "container shop", f"docker_host {engine.host}")
    error = acting.refused(ACTIONS["run_hook"], replace(target, hook=hook), world)
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    assert words in error.message


def test_a_server_without_the_wrapper_runs_no_hooks(tmp_path: Path, world: World) -> None:
    with running_ssh_server(tmp_path / "plain") as server:
        target = Target("shop", server.server(), container="shop", hook="reindex")
        error = acting.refused(ACTIONS["run_hook"], target, world)
        with world.connect(target.server) as connector, pytest.raises(ActionError) as caught:
            raise docker.failure(connector.run(wrapper.hook_argv("x", "y"), 10), "sitemedic-hook x", "web-1")
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    assert "./sitemedic server setup web-1" in error.message
    assert caught.value.permanent
