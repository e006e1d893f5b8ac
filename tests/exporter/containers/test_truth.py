"""Our figures beside what the process in the container says of itself: a busy machine moves both alike."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.servers.server import DockerApi, Server
from exporter.containers.service import Containers
from exporter.containers.watch import Timing
from tests.docker_engine import (
    IMAGE,
    DockerEngine,
    engine_folder,
    needs_docker,
    started_engine,
)
from tests.exporter.containers.certificates import Certificates
from tests.exporter.containers.told import on_a_loop, watched
from tests.ports import free_port
from tests.waiting import until

pytestmark = needs_docker

WITHIN = 0.05
ALONE = ("--network", "none")
SHARE, MEBIBYTES = 0.3, 96
CPU = "container_cpu_usage_seconds_total"
LEAST = 1.2
"""Seconds of CPU to measure by, however long they take on a busy machine."""
BURNER = Path(__file__).with_name("burner.py")
OFTEN = Timing(usage_every=1.0, usage_spacing=0.2)


def python(
    engine: DockerEngine,
    name: str,
    folder: Path,
    *arguments: str,
    options: tuple[str, ...] = ALONE,
) -> None:
    """Run this machine's Python in a container of nothing but that."""
    places = dict.fromkeys(("/lib", "/lib64", "/usr/lib", sys.base_prefix))
    mounts = [f"-v={place}:{place}:ro" for place in places if Path(place).exists()]
    mounts += [f"-v={BURNER.parent}:/programs:ro", f"-v={folder}:/told"]
    program = (os.path.realpath(sys.executable), "-IS")
    engine.docker("run", "-d", "--name", name, *mounts, *options, IMAGE, *program, *arguments)


async def samples(containers: Containers, name: str) -> dict[str, float]:
    """Return what a scrape says of a container; of several series of a family the sum."""
    found: dict[str, float] = {}
    text = b"".join([piece async for piece in containers.pieces()]).decode()
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.labels.get("name") == name and one.labels.get("interface") != "lo":
                found[one.name] = found.get(one.name, 0.0) + one.value
    return found


async def sampled(containers: Containers, name: str, family: str, above: float) -> dict[str, float]:
    """Wait until a family is above a value, and return all that is said with it."""
    for _ in range(1200):
        found = await samples(containers, name)
        if found.get(family, 0.0) > above:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{family} of {name} is not above {above}")


def own_account(file: Path, at: float) -> float:
    """Return the CPU that the process says it had used by then, between two of its lines."""
    rows = [tuple(map(float, line.split())) for line in file.read_text().splitlines()[:-1]]
    for before, then in pairwise(rows):
        if before[0] <= at < then[0]:
            return before[1] + (then[1] - before[1]) * (at - before[0]) / (then[0] - before[0])
    raise LookupError(f"nothing was written around {at}")


def watching(engine: DockerEngine, api: DockerApi | None = None) -> Containers:
    containers = Containers(timing=OFTEN)
    way = api or DockerApi(engine.host)
    containers.apply([watched(server=Server("web-1", local=True, docker_api=way))])
    return containers


@on_a_loop
async def test_cpu_and_memory_are_what_the_process_itself_has_used(
    engine: DockerEngine, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await _held_against_its_own_account(engine, DockerApi(engine.host), tmp_path, record_property)


@pytest.mark.full
def test_they_are_over_tls_too(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    certificates, port = Certificates(tmp_path), free_port()
    files = {name: Path(path) for name, path in certificates.clients()["good"].items()}
    api = DockerApi(f"tcp://127.0.0.1:{port}", **files)
    options = certificates.options(port)
    with engine_folder() as folder, started_engine(folder, own_network=False, options=options) as engine:
        engine.import_image()
        asyncio.run(_held_against_its_own_account(engine, api, tmp_path, record_property))
        engine.clear()


async def _held_against_its_own_account(
    engine: DockerEngine, api: DockerApi, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    file = folder / "told"
    containers = watching(engine, api)
    try:
        arguments = ("/programs/burner.py", str(SHARE), str(MEBIBYTES), "/told/told")
        await asyncio.to_thread(python, engine, "burner", folder, *arguments)
        await asyncio.to_thread(until, lambda: file.stat().st_size > 500, 30, "the process to begin")
        first = await sampled(containers, "burner", "container_last_seen", file.stat().st_mtime)
        last = await sampled(containers, "burner", CPU, first[CPU] + LEAST)
        seen = last["container_last_seen"]
        await asyncio.to_thread(until, lambda: own_account(file, seen), 30, "its own word about then")
    finally:
        await containers.stop()
    used = last[CPU] - first[CPU]
    own = own_account(file, seen) - own_account(file, first["container_last_seen"])
    held = float(file.read_text().splitlines()[-2].split()[2])
    record_property(
        "measured",
        f"a container's CPU: {used:.3f} s where it says {own:.3f} s; memory held: "
        f"{last['container_memory_rss'] / 2**20:.1f} MiB of {held / 2**20:.1f} MiB, working set "
        f"{last['container_memory_working_set_bytes'] / 2**20:.1f} MiB",
    )
    assert used == pytest.approx(own, rel=WITHIN)
    assert held > MEBIBYTES * 2**20
    assert last["container_memory_rss"] == pytest.approx(held, rel=WITHIN)
    assert last["container_memory_working_set_bytes"] == pytest.approx(held, rel=WITHIN)
    assert last["container_processes"] == 1


TALKS = """
import socket, sys
with socket.create_connection((sys.argv[1], 4000)) as peer:
    for _ in range(256): peer.sendall(bytes(65536))
    peer.shutdown(socket.SHUT_WR)
    while peer.recv(65536): pass
input()
"""
LISTENS = """
import socket
with socket.create_server(("", 4000)) as server:
    peer, _ = server.accept()
    with peer:
        while peer.recv(65536): pass
        peer.sendall(bytes(4 * 2**20))
input()
"""
WRITES = """
import mmap, os
block = mmap.mmap(-1, 2**20)
file = os.open("/told/written", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
for _ in range(32): os.write(file, block)
os.lseek(file, 0, 0)
for _ in range(16): os.readv(file, [block])
open("/told/done", "w").close()
input()
"""


@pytest.mark.full
def test_network_is_what_two_containers_have_said_to_each_other(tmp_path: Path) -> None:
    with engine_folder() as folder, started_engine(folder, own_network=True) as engine:
        engine.import_image()
        asyncio.run(_network(engine, tmp_path))
        engine.clear()


async def _network(engine: DockerEngine, folder: Path) -> None:
    containers = watching(engine)
    try:
        bridged = ("--network", "bridge", "-i")
        await asyncio.to_thread(python, engine, "listens", folder, "-c", LISTENS, options=bridged)
        address = engine.inspect("listens")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        await asyncio.to_thread(python, engine, "talks", folder, "-c", TALKS, address, options=bridged)
        family = "container_network_receive_bytes_total"
        talks = await sampled(containers, "talks", family, 4 * 2**20)
        listens = await sampled(containers, "listens", family, 16 * 2**20)
    finally:
        await containers.stop()
    assert talks["container_network_transmit_bytes_total"] == pytest.approx(16 * 2**20, rel=0.1)
    assert talks[family] == pytest.approx(4 * 2**20, rel=0.1)
    assert listens[family] == pytest.approx(16 * 2**20, rel=0.1)


@pytest.mark.full
@on_a_loop
async def test_block_io_is_what_was_written_and_read(engine: DockerEngine, tmp_path: Path) -> None:
    containers = watching(engine)
    try:
        await asyncio.to_thread(python, engine, "writes", tmp_path, "-c", WRITES, options=(*ALONE, "-i"))
        await asyncio.to_thread(until, (tmp_path / "done").exists, 60, "it to be written")
        told = json.loads(engine.docker("stats", "--no-stream", "--format", "{{json .}}", "writes"))
        if told["BlockIO"] == "0B / 0B":
            pytest.skip("this kernel counts no block I/O of containers")
        family = "container_fs_writes_bytes_total"
        found = await sampled(containers, "writes", family, 31 * 2**20)
    finally:
        await containers.stop()
    assert found[family] == pytest.approx(32 * 2**20, rel=0.1)
    assert found["container_fs_reads_bytes_total"] >= 16 * 2**20
