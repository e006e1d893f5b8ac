"""Both ways to a real Docker engine, its socket and SSH, see the same: a fault at a time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.servers.server import DockerApi
from core.servers.ssh import SshConnector
from exporter.containers.cgroup_files import CgroupFiles
from exporter.containers.engine_api import EngineApi
from exporter.containers.model import Container, Health, Reason, Source, SourceError, State
from exporter.containers.over_ssh import OverSsh
from tests.docker_engine import DockerEngine, engine_folder, needs_docker, running_engine, started_engine
from tests.exporter.containers.followed import Followed, eventually, following, one
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

pytestmark = needs_docker
SECRET = "planted-database-password"
ALL_KINDS = pytest.mark.parametrize("kind", ["socket", "ssh"])
MEMORY_EATER = ("sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done")


class Lab:
    """An engine that keeps its place when it is started anew, behind an sshd with the wrapper."""

    def __init__(self, folder: Path, ssh: SshServer, wrapped: Wrapped) -> None:
        self.folder = folder
        self.ssh = ssh
        self.wrapped = wrapped
        self.socket = folder / "docker.sock"

    def source(self, kind: str, seconds: float = 20) -> Source:
        if kind == "ssh":
            return OverSsh("web-1", self.ssh.settings, seconds)
        return EngineApi("web-1", DockerApi(f"unix://{self.socket}"), seconds, CgroupFiles())

    def lead_to(self, engine: DockerEngine) -> None:
        self.socket.unlink(missing_ok=True)
        self.socket.symlink_to(engine.folder / "docker.sock")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    wrapped = Wrapped(folder / "wrapper")
    wrapped.allow("watch *", "label tier", f"docker_host unix://{folder / 'docker.sock'}")
    with running_ssh_server(folder / "ssh", {"HOME": str(folder)}) as ssh:
        line = wrapped.line(ssh.key_file.with_suffix(".pub").read_text())
        (ssh.folder / "authorized_keys").write_text(line)
        yield Lab(folder, ssh, wrapped)


@pytest.fixture(scope="module")
def one_engine(lab: Lab) -> Iterator[DockerEngine]:
    with running_engine() as engine:
        lab.lead_to(engine)
        yield engine


@pytest.fixture
def engine(one_engine: DockerEngine) -> Iterator[DockerEngine]:
    yield one_engine
    one_engine.clear()


@asynccontextmanager
async def asked(lab: Lab, kind: str, seconds: float = 20) -> AsyncIterator[Source]:
    source = lab.source(kind, seconds)
    try:
        yield source
    finally:
        await source.close()


async def docker(engine: DockerEngine, *words: str) -> str:
    return await asyncio.to_thread(engine.docker, *words)


def seen(source: Source, name: str, fits: Callable[[Container], bool]) -> Callable[[], Awaitable[bool]]:
    """Return a question: is there such a container, as it should be?"""

    async def ask() -> bool:
        found = await one(source, name)
        return found is not None and fits(found)

    return ask


def told(followed: Followed, name: str, *actions: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        assert followed.error is None, followed.error
        return set(actions) <= set(followed.actions(name))

    return ask


async def listening(source: Source, followed: Followed, engine: DockerEngine) -> None:
    """Return once events arrive: what happened before nobody hears of."""

    async def ask() -> bool:
        await docker(
            engine, "create", "--name", "knock", "--network", "none", "sitemedic-test:busybox", "true"
        )
        await docker(engine, "rm", "knock")
        return bool(followed.actions("knock"))

    await eventually(ask, "an event")


@ALL_KINDS
def test_a_containers_state_limits_and_usage_are_seen(lab: Lab, engine: DockerEngine, kind: str) -> None:
    async def run() -> None:
        engine.run(
            "db-1",
            *("--memory", "64m", "--cpus", "0.5", "--label", "tier=db", "-e", f"PASSWORD={SECRET}"),
            *("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=db"),
        )
        async with asked(lab, kind) as source:
            found = await one(source, "db-1")
            assert found is not None
            assert (found.id, found.state) == (engine.inspect("db-1")["Id"], State.RUNNING)
            assert (found.image, found.cpu_limit, found.memory_limit) == (
                "sitemedic-test:busybox", 0.5, 64 * 1024 * 1024,
            )  # fmt: skip
            assert found.labels["tier"] == "db"
            assert found.labels["com.docker.compose.service"] == "db"
            assert (found.exit_code, found.finished_at, found.health) == (None, None, None)
            machine = await source.machine()
            assert machine.cores == os.cpu_count()
            assert machine.memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            used = (await source.usage([found.id, "f" * 64]))[found.id]
            assert 0 < used.memory_working_set <= used.memory < 64 * 1024 * 1024
            assert (used.cpu > 0, used.processes >= 1) == (True, True)
            await docker(engine, "stop", "-t", "1", "db-1")
            assert found.id not in await source.usage([found.id])

    asyncio.run(run())


def test_the_wrapper_shows_what_is_on_the_list_and_no_variable_or_other_label(
    lab: Lab, engine: DockerEngine
) -> None:
    for name in ("web-1", "db-1", "other"):
        engine.run(name, "--label", f"owner={SECRET}", "--label", "tier=x", "-e", f"PASSWORD={SECRET}")
    engine.run(
        "shop-worker-1",
        *("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=worker"),
    )
    usual = lab.wrapped.allowed.read_text().splitlines()
    lab.wrapped.allow("container db-1", "watch web-?", "watch shop/w*", *usual[1:])
    try:
        with SshConnector(lab.ssh.settings) as connector:
            answers = {
                verb: connector.run(["sitemedic-wrapper", verb], 30) for verb in ("containers", "usage")
            }
            assert connector.run(["docker", "restart", "-t", "1", "web-1"], 20).exit_status == 126
    finally:
        lab.wrapped.allow(*usual)
    shown = answers["containers"].stdout
    assert [name for name in ("web-1", "db-1", "other", "shop-worker-1") if f'"/{name}"' in shown] == [
        "web-1", "db-1", "shop-worker-1",
    ]  # fmt: skip
    assert SECRET not in shown
    assert '"tier":"x"' in shown
    ids = {name: engine.inspect(name)["Id"] for name in ("web-1", "db-1", "other", "shop-worker-1")}
    used = [name for name, identity in ids.items() if f"= {identity} " in answers["usage"].stdout]
    assert used == ["web-1", "db-1", "shop-worker-1"]


@pytest.mark.full
@ALL_KINDS
def test_a_kill_is_heard_and_seen_with_its_code(lab: Lab, engine: DockerEngine, kind: str) -> None:
    async def run() -> None:
        engine.run("web")
        async with asked(lab, kind) as source, following(source) as followed:
            await listening(source, followed, engine)
            before = await one(source, "web")
            await docker(engine, "kill", "web")
            await eventually(told(followed, "web", "die"), "the event")
            assert next(event.exit_code for event in followed.events if event.action == "die") == 137
            await eventually(
                seen(source, "web", lambda now: (now.state, now.exit_code) == (State.EXITED, 137)), "its end"
            )
            await docker(engine, "start", "web")
            await eventually(told(followed, "web", "start"), "its start")
            assert before is not None
            started = before.started_at or 0.0
            await eventually(
                seen(
                    source, "web", lambda now: now.state == State.RUNNING and (now.started_at or 0) > started
                ),
                "its new start",
            )

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_a_quick_restart_between_two_lists_is_seen_without_events(
    lab: Lab, engine: DockerEngine, kind: str
) -> None:
    async def run() -> None:
        engine.run("web")
        async with asked(lab, kind) as source:
            first = await one(source, "web")
            assert first is not None
            await asyncio.sleep(4)  # older than what the engine's clock, told in seconds, leaves open
            await docker(engine, "restart", "-t", "1", "web")
            second = await one(source, "web")
            assert second is not None
            assert (second.started_at or 0.0) > (first.started_at or 0.0)

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_memory_that_runs_out_is_told(lab: Lab, engine: DockerEngine, kind: str) -> None:
    async def run() -> None:
        async with asked(lab, kind) as source, following(source) as followed:
            await listening(source, followed, engine)
            await asyncio.to_thread(
                engine.run, "eater", "--memory", "16m", "--memory-swap", "16m", command=MEMORY_EATER
            )
            await eventually(told(followed, "eater", "die"), "its end")
            await eventually(
                seen(source, "eater", lambda now: now.state == State.EXITED and now.exit_code == 137),
                "the state",
            )
            killed = await one(source, "eater")
            assert killed is not None
            assert killed.oom_killed == engine.inspect("eater")["State"]["OOMKilled"]
            assert killed.oom_killed or "oom" in followed.actions("eater")

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_a_health_check_is_followed(lab: Lab, engine: DockerEngine, kind: str) -> None:
    async def run() -> None:
        async with asked(lab, kind) as source, following(source) as followed:
            await listening(source, followed, engine)
            check = ("--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1")
            await asyncio.to_thread(engine.run, "sick", *check)
            await eventually(seen(source, "sick", lambda now: now.health == Health.UNHEALTHY), "unhealthy")
            await eventually(told(followed, "sick", "health_status"), "the event")
            await docker(engine, "exec", "sick", "touch", "/tmp/well")
            await eventually(seen(source, "sick", lambda now: now.health == Health.HEALTHY), "healthy")
            said = [event.health for event in followed.events if event.action == "health_status"]
            assert said[0] == Health.UNHEALTHY

            async def heard() -> bool:
                return Health.HEALTHY in [event.health for event in followed.events]

            await eventually(heard, "the event of its recovery")

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_a_container_that_crashes_again_and_again_is_told_by_its_restarts(
    lab: Lab, engine: DockerEngine, kind: str
) -> None:
    async def run() -> None:
        engine.run("loop", "--restart", "always", command=("sh", "-c", "exit 3"))
        async with asked(lab, kind) as source, following(source) as followed:
            await eventually(seen(source, "loop", lambda now: now.restart_count >= 3), "three restarts")
            await eventually(
                seen(source, "loop", lambda now: (now.state, now.exit_code) == (State.RESTARTING, 3)),
                "it waiting for its next start",
            )
            await eventually(told(followed, "loop", "die", "start"), "its events", 60)

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_pausing_and_one_of_the_same_name_made_anew_are_seen(
    lab: Lab, engine: DockerEngine, kind: str
) -> None:
    async def run() -> None:
        first = engine.run("web")
        async with asked(lab, kind) as source, following(source) as followed:
            await listening(source, followed, engine)
            await docker(engine, "pause", "web")
            await eventually(seen(source, "web", lambda now: now.state == State.PAUSED), "paused")
            await docker(engine, "unpause", "web")
            await eventually(seen(source, "web", lambda now: now.state == State.RUNNING), "unpaused")
            await docker(engine, "rm", "--force", "web")
            assert await one(source, "web") is None
            second = await asyncio.to_thread(engine.run, "web")
            await eventually(seen(source, "web", lambda now: now.id == second != first), "the new one")
            await docker(engine, "rename", "web", "shop")
            await eventually(seen(source, "shop", lambda now: now.id == second), "its new name")
            wanted = ("pause", "unpause", "destroy", "create", "start")
            await eventually(told(followed, "web", *wanted), "the events")
            await eventually(told(followed, "shop", "rename"), "the renaming")

    asyncio.run(run())


@pytest.mark.full
@ALL_KINDS
def test_an_engine_that_hangs_is_given_up_and_asked_again(lab: Lab, engine: DockerEngine, kind: str) -> None:
    text = lab.wrapped.file.read_text()
    lab.wrapped.file.write_text(text.replace("\nlook_seconds=10\n", "\nlook_seconds=1\n"))

    async def run() -> None:
        engine.run("web")
        async with asked(lab, kind, seconds=20 if kind == "ssh" else 2) as source:
            assert await one(source, "web") is not None
            os.kill(engine.pid, signal.SIGSTOP)
            await asyncio.to_thread(until, lambda: stopped(engine.pid), 20, "every thread of it to stop")
            try:
                with pytest.raises(SourceError) as caught:
                    await source.containers()
            finally:
                os.kill(engine.pid, signal.SIGCONT)
            assert (caught.value.reason, "docker ps" in caught.value.message) == (Reason.TIMEOUT, True)
            await eventually(seen(source, "web", lambda now: now.state == State.RUNNING), "its answer")

    try:
        asyncio.run(run())
    finally:
        lab.wrapped.file.write_text(text)


@pytest.mark.full
@ALL_KINDS
def test_an_engine_that_was_stopped_is_told_and_one_that_is_back_is_asked_by_the_same_source(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("lab")
    wrapped = Wrapped(folder / "wrapper")
    wrapped.allow("watch *", f"docker_host unix://{folder / 'docker.sock'}")
    with engine_folder() as kept, running_ssh_server(folder / "ssh", {"HOME": str(folder)}) as ssh:
        line = wrapped.line(ssh.key_file.with_suffix(".pub").read_text())
        (ssh.folder / "authorized_keys").write_text(line)
        place = Lab(folder, ssh, wrapped)

        async def run() -> None:
            async with asked(place, kind) as source:
                with started_engine(kept, own_network=False) as engine:
                    engine.import_image()
                    place.lead_to(engine)
                    engine.run("web", "--restart", "always")
                    async with following(source) as followed:
                        await listening(source, followed, engine)
                        await asyncio.to_thread(os.kill, engine.pid, signal.SIGTERM)
                        await eventually(followed.ended, "the end of the stream")
                        assert followed.error is not None
                        assert followed.error.reason is Reason.ENGINE_DOWN
                    with pytest.raises(SourceError) as caught:
                        await source.containers()
                    assert caught.value.reason is Reason.ENGINE_DOWN
                with started_engine(kept, own_network=False) as again:
                    place.lead_to(again)
                    await eventually(seen(source, "web", lambda now: now.state == State.RUNNING), "it again")
                    async with following(source) as followed:
                        await listening(source, followed, again)
                    again.clear()

        asyncio.run(run())


def test_a_connection_cut_in_the_middle_of_a_stream_is_told_and_the_next_call_opens_another(
    lab: Lab, engine: DockerEngine
) -> None:
    async def run() -> None:
        async with asked(lab, "ssh") as source:
            async with following(source) as followed:
                await listening(source, followed, engine)
                await asyncio.to_thread(lab.ssh.cut)
                await eventually(followed.ended, "the end of the stream")
                assert followed.error is not None
                assert followed.error.reason is Reason.UNREACHABLE
            assert await source.containers() == []
            async with following(source) as followed:
                await listening(source, followed, engine)
        await asyncio.to_thread(until, lambda: not streams_of(lab), 30, "the end of what ran on the server")

    asyncio.run(run())


@pytest.mark.full
def test_a_server_that_stops_answering_ends_the_call_and_the_stream_with_it(
    lab: Lab, engine: DockerEngine
) -> None:
    async def run() -> None:
        async with asked(lab, "ssh", seconds=3) as source, following(source) as followed:
            await listening(source, followed, engine)
            await asyncio.to_thread(lab.ssh.freeze)
            try:
                with pytest.raises(SourceError) as caught:
                    await source.containers()
                assert caught.value.reason in (Reason.TIMEOUT, Reason.UNREACHABLE)
                await eventually(followed.ended, "the end of the stream")
            finally:
                await asyncio.to_thread(lab.ssh.thaw)
            await eventually(source.machine, "an answer")

    asyncio.run(run())


def streams_of(lab: Lab) -> list[str]:
    """Return the `docker events` that run for the lab's list."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"events" in words and str(lab.socket).encode() in environment:
            found.append(entry.name)
    return found


def stopped(pid: int) -> bool:
    """Tell whether a process stands still, with all its threads."""
    states = [
        path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}
