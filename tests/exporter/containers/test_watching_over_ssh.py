"""Containers watched over a real sshd with the wrapper, which is cut in the middle and goes away."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.containers.service import Containers
from tests.docker_engine import DockerEngine, needs_docker, running_engine
from tests.exporter.containers.told import on_a_loop, watched
from tests.exporter.running import exporter
from tests.ports import free_port
from tests.remediator.wrapped import Wrapped
from tests.ssh_server import SshServer, make_key, running_ssh_server

pytestmark = [*needs_docker, pytest.mark.full]


async def until(condition: Callable[[], Any], what: str) -> None:
    for _ in range(1200):
        with contextlib.suppress(LookupError):
            if condition():
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited 60 s for {what}")


@on_a_loop
async def test_a_connection_that_is_cut_is_made_anew_and_what_happened_meanwhile_is_seen(
    tmp_path: Path,
) -> None:
    wrapped = Wrapped(tmp_path / "wrapper")
    with running_ssh_server(tmp_path / "ssh", {"HOME": str(tmp_path)}) as ssh, running_engine() as engine:
        wrapped.allow("watch *", f"docker_host {engine.host}")
        (ssh.folder / "authorized_keys").write_text(
            wrapped.line(ssh.key_file.with_suffix(".pub").read_text())
        )
        ssh.pin()
        containers = Containers()
        containers.apply([watched(server=ssh.server())])
        try:
            await _cut_and_gone(containers, ssh, engine)
        finally:
            await containers.stop()


async def _cut_and_gone(containers: Containers, ssh: SshServer, engine: DockerEngine) -> None:
    def shop() -> dict[str, Any]:
        told = json.loads(containers.answer())["containers"]
        return {one["name"]: one for one in told}["shop"]

    def server() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(containers.answer())["servers"]["web-1"]
        return told

    await asyncio.to_thread(engine.run, "shop")
    await until(lambda: shop()["state"] == "running" and shop()["memory"], "it to run and be measured")
    calls = containers.watches["web-1"].asking.calls
    await until(lambda: calls["events"].count, "the stream")
    ssh.cut()
    await asyncio.to_thread(engine.docker, "restart", "--time", "1", "shop")
    await asyncio.to_thread(engine.docker, "kill", "shop")
    await until(lambda: shop()["state"] == "exited", "what happened meanwhile")
    assert (shop()["exit_code"], shop()["restarts"]) == (137, 1)

    ssh.stop()
    await until(lambda: server()["up"] is False, "the server to be missed")
    assert server()["reason"] == "unreachable"
    assert shop()["state"] == "exited"
    ssh.start()
    await asyncio.to_thread(engine.docker, "start", "shop")
    await until(lambda: server()["up"] and shop()["state"] == "running", "it to be watched again")
    assert shop()["restarts"] == 2


def test_an_exporter_ends_at_once_though_a_server_says_nothing(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ssh = {"host": "127.0.0.1", "port": silent.getsockname()[1], "key_file": str(key)}
        configuration = {
            "servers": {"web-1": {"ssh": ssh, "containers": [{"name": "*"}]}},
            "sites": [{"name": "nobody", "url": f"tcp://127.0.0.1:{free_port()}", "interval": "60s"}],
        }
        with exporter(tmp_path, configuration, program=("stack", "exporter")) as running:
            silent.settimeout(30)
            connection, _ = silent.accept()  # now a thread waits for the server's first word
            with connection:
                running.process.terminate()
                assert running.process.wait(6) == 0  # that thread would wait for 10 s
