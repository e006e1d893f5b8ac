"""The demo server's `sitemedic-wrapper`, asked as the exporter asks every server, over its real sshd."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.servers.server import SshSettings
from demo import wrapper
from demo.container import CPU_LIMIT, MEMORY_LIMIT, Container
from demo.figures import figures_of
from exporter.containers.model import Event, State
from exporter.containers.over_ssh import OverSsh
from exporter.containers.wrapper_answers import VERSION
from remediator.on_server import wrapper as remediators
from tests.demo.parts import RunningMachine, running_machine
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMachine]:
    with running_machine(tmp_path_factory.mktemp("demo")) as machine:
        yield machine


@asynccontextmanager
async def watched(machine: RunningMachine) -> AsyncIterator[OverSsh]:
    ssh = machine.state()["ssh"]
    assert isinstance(ssh, dict)
    keys = {name: Path(ssh[name]) for name in ("key_file", "known_hosts_file")}
    settings = SshSettings(host=ssh["host"], port=ssh["port"], user=ssh["user"], **keys)
    source = OverSsh("demo", settings)
    try:
        yield source
    finally:
        await source.close()


def test_it_is_of_the_version_that_everybody_else_knows() -> None:
    assert wrapper.VERSION == VERSION == remediators.VERSION


async def see(machine: RunningMachine) -> None:
    async with watched(machine) as source:
        [container] = await source.containers()
        assert (container.name, container.state) == ("demo-shop", State.RUNNING)
        assert (container.cpu_limit, container.memory_limit) == (CPU_LIMIT, MEMORY_LIMIT)
        assert container.labels["com.docker.compose.service"] == "shop"
        assert (await source.machine()).cores >= 1
        usage = (await source.usage([container.id]))[container.id]
        assert usage.memory_working_set > 20 << 20
        assert usage.processes > 1


def test_the_exporter_sees_the_container_and_what_it_uses(machine: RunningMachine) -> None:
    asyncio.run(see(machine))


def test_the_container_is_kept_to_the_one_core_that_is_its_limit(machine: RunningMachine) -> None:
    tasks = Path(f"/proc/{machine.state()['container']['pid']}/task")  # type: ignore[index]

    def cores() -> list[int]:
        return [len(os.sched_getaffinity(int(thread.name))) for thread in tasks.iterdir()]

    until(lambda: set(cores()) == {1}, 30, "its threads to be confined")
    assert len(cores()) > 10


async def measure(machine: RunningMachine) -> tuple[float, float]:
    """Return the cores that the exporter and the kernel count while the shop burns."""
    async with watched(machine) as source:
        [container] = await source.containers()
        pid = int(machine.state()["container"]["pid"])  # type: ignore[index]
        first, kernel, began = (
            (await source.usage([container.id]))[container.id],
            figures_of(pid),
            time.time(),
        )
        burning = [asyncio.to_thread(machine.site, "/cpu?seconds=3", 20) for _ in range(2)]
        await asyncio.gather(*burning)
        last, after = (await source.usage([container.id]))[container.id], figures_of(pid)
        seen = (last.cpu - first.cpu) / (last.time - first.time)
        counted = (after.user + after.system - kernel.user - kernel.system) / (time.time() - began)
        return seen, counted


@pytest.mark.full
def test_the_cpu_that_the_exporter_sees_is_what_the_shop_burns_and_at_most_its_limit(
    machine: RunningMachine,
) -> None:
    seen, counted = asyncio.run(measure(machine))
    assert seen == pytest.approx(counted, rel=0.35, abs=0.05)
    assert 0.05 < seen < CPU_LIMIT * 1.1


@pytest.mark.full
def test_memory_that_is_held_is_seen(machine: RunningMachine) -> None:
    async def memory() -> int:
        async with watched(machine) as source:
            [container] = await source.containers()
            return (await source.usage([container.id]))[container.id].memory_working_set

    before = asyncio.run(memory())
    assert machine.site("/memory?mb=64&seconds=30", 20).ok
    assert asyncio.run(memory()) - before == pytest.approx(64 << 20, rel=0.25)
    machine.order("/mend")


async def restarts(machine: RunningMachine) -> list[Event]:
    async with watched(machine) as source:
        events = source.events()
        first = asyncio.ensure_future(anext(events))
        while not first.done():  # from when the stream is open on, it tells of every restart
            await asyncio.to_thread(machine.order, "/docker", {"argv": ["restart", "-t", "3", "demo-shop"]})
            await asyncio.wait([first], timeout=1)
        found = [await first]
        while found[-1].action != "restart":
            found.append(await asyncio.wait_for(anext(events), 30))
        await events.aclose()  # type: ignore[attr-defined]
        return found


def test_a_restart_is_told_as_it_happens(machine: RunningMachine) -> None:
    found = asyncio.run(restarts(machine))
    assert [event.action for event in found][-2:] == ["start", "restart"]
    assert {event.name for event in found} == {"demo-shop"}
    until(lambda: machine.site().ok, 30, "the shop")


async def stream_of_a_moment(machine: RunningMachine) -> None:
    async with watched(machine) as source:
        events = source.events()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.wait([waiting], timeout=1)
        waiting.cancel()
        await asyncio.wait([waiting])


@pytest.mark.full
def test_a_stream_that_nobody_reads_any_more_leaves_no_process(machine: RunningMachine) -> None:
    asyncio.run(stream_of_a_moment(machine))
    until(lambda: streaming(machine.folder) == [], 30, "the command to end")


def streaming(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and "sitemedic-wrapper events" in line:
            found.append(line)
    return found


async def outgrown(folder: Path) -> Container:
    """Start a container whose limit is less than its program takes, and wait for its end."""
    container = Container("small", "127.0.0.1", free_port(), folder, memory_limit=20 << 20)
    told: asyncio.Queue[str] = asyncio.Queue()
    container.listeners.add(told)
    await container.start()
    found: list[str] = []
    while found[-1:] != ["die"]:
        found.append(json.loads(await asyncio.wait_for(told.get(), 30))["Action"])
    assert found == ["start", "oom", "die"]
    return container


def test_what_takes_more_memory_than_its_limit_is_killed_as_the_kernel_does(tmp_path: Path) -> None:
    state = asyncio.run(outgrown(tmp_path)).record()["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 137, True)
