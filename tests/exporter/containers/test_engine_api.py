"""Docker's API in the hands of an engine that does as the test says: what is asked, and what goes wrong."""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from core.servers.server import DockerApi, Server, SshSettings
from exporter.containers.docker_json import container_of, event_of, usage_of
from exporter.containers.engine_api import EngineApi
from exporter.containers.model import Health, Reason, SourceError, State
from exporter.containers.over_ssh import OverSsh
from exporter.containers.sources import source_of
from exporter.containers.status_text import human
from tests.exporter.containers.followed import eventually, following
from tests.ports import free_port

Answer = Callable[[web.Request], Any]


@dataclass
class Engine:
    """An engine in small: containers as `docker inspect` has them, by id."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    events: list[bytes] = field(default_factory=list)
    answer: Answer | None = None

    def add(self, name: str, **state: Any) -> str:
        identity = f"{len(self.records):064x}"
        self.records[identity] = {
            "Id": identity, "Name": f"/{name}", "RestartCount": 0,
            "Config": {"Image": "busybox", "Labels": {"tier": "db"}, "Env": ["PASSWORD=planted"]},
            "HostConfig": {"NanoCpus": 0, "CpuQuota": 50000, "CpuPeriod": 0, "Memory": 0},
            "State": {"Status": "running", "ExitCode": 0, "StartedAt": ago(3700),
                      "FinishedAt": "0001-01-01T00:00:00Z"} | state,
        }  # fmt: skip
        return identity

    async def serve(self, request: web.Request) -> web.StreamResponse:
        words = request.path.strip("/").split("/")
        self.asked["list" if words == ["containers", "json"] else words[-1]] += 1
        if self.answer is not None:
            answer = await self.answer(request)
            assert isinstance(answer, web.StreamResponse)
            return answer
        if words == ["events"]:
            stream = web.StreamResponse()
            await stream.prepare(request)
            for piece in self.events:
                await stream.write(piece)
            await asyncio.sleep(3600)
        if words == ["containers", "json"]:
            return web.json_response([self.row(one) for one in self.records.values()])
        record = self.records.get(words[1])
        return web.json_response(record, status=404 if record is None else 200)

    def row(self, record: dict[str, Any]) -> dict[str, Any]:
        state = record["State"]
        age = human(time.time() - (moment(state["StartedAt"])))
        health = state.get("Health", {}).get("Status")
        status = f"Up {age}" + (f" ({health})" if health else "")
        if state["Status"] == "exited":
            age = human(time.time() - moment(state["FinishedAt"]))
            status = f"Exited ({state['ExitCode']}) {age} ago"
        return {
            "Id": record["Id"], "Names": [record["Name"]], "State": state["Status"], "Status": status,
        }  # fmt: skip


def told(action: str, identity: str = "x") -> bytes:
    """Return an event of a container as the stream has it."""
    event = {"Action": action, "Actor": {"ID": identity, "Attributes": {"name": "web"}}, "timeNano": 5}
    return json.dumps(event).encode() + b"\n"


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat().replace("+00:00", "Z")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@asynccontextmanager
async def running(
    engine: Engine, folder: Path, tls: ssl.SSLContext | None = None, **files: Path
) -> AsyncIterator[EngineApi]:
    application = web.Application()
    application.router.add_get("/{path:.*}", engine.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    if tls is None:
        await web.UnixSite(runner, str(folder / "d.sock")).start()
        address = DockerApi(f"unix://{folder / 'd.sock'}")
    else:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        address = DockerApi(f"tcp://127.0.0.1:{port}", **files)
    source = EngineApi("web-1", address, 3)
    try:
        yield source
    finally:
        await source.close()
        await runner.cleanup()


async def refused(source: EngineApi) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await source.containers()
    assert "web-1" in caught.value.message
    return caught.value


def test_a_hundred_quiet_containers_are_one_call_and_one_that_changed_is_one_more(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine()
        ids = [engine.add(f"web-{number}") for number in range(100)]
        async with running(engine, tmp_path) as source:
            assert len(await source.containers()) == 100
            assert engine.asked == {"list": 1, "json": 100}
            for _ in range(3):
                assert len(await source.containers()) == 100
            assert engine.asked == {"list": 4, "json": 100}
            state = engine.records[ids[7]]["State"]
            state |= {"Status": "exited", "ExitCode": 137, "FinishedAt": ago(1)}
            found = {one.id: one for one in await source.containers()}
            assert (found[ids[7]].state, found[ids[7]].exit_code) == (State.EXITED, 137)
            assert engine.asked == {"list": 5, "json": 101}

    asyncio.run(run())


@pytest.mark.parametrize(
    "change",
    [
        {"StartedAt": "recently"},
        {"Health": {"Status": "unhealthy"}},
        {"Status": "paused"},
        {"Status": "exited", "ExitCode": 1, "FinishedAt": "recently"},
    ],
)
def test_what_the_lists_words_tell_is_asked_for(tmp_path: Path, change: dict[str, Any]) -> None:
    async def run() -> None:
        engine = Engine()
        one = engine.add("web")
        async with running(engine, tmp_path) as source:
            await source.containers()
            now = {key: ago(3) if value == "recently" else value for key, value in change.items()}
            engine.records[one]["State"] |= now
            await source.containers()
            assert engine.asked["json"] == 2

    asyncio.run(run())


def test_what_an_event_names_is_asked_for_though_the_list_says_nothing_of_it(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine()
        one = engine.add("web")
        text = told("update", one)
        engine.events = [text[:20], text[20:]]
        async with running(engine, tmp_path) as source:
            await source.containers()
            engine.records[one]["HostConfig"]["Memory"] = 1024
            async with following(source) as followed:
                await eventually(followed.heard, "the event")
            assert [found.memory_limit for found in await source.containers()] == [1024]

    asyncio.run(run())


def test_one_that_was_removed_between_two_calls_is_left_out(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine()
        engine.add("web")
        gone = engine.add("gone")
        async with running(engine, tmp_path) as source:

            async def answer(request: web.Request) -> web.Response:
                if gone in request.path:
                    return web.json_response({"message": "No such container"}, status=404)
                if request.path == "/containers/json":
                    return web.json_response([engine.row(one) for one in engine.records.values()])
                return web.json_response(engine.records[request.path.split("/")[2]])

            engine.answer = answer
            assert [one.name for one in await source.containers()] == ["web"]
            assert await source.usage([gone]) == {}

    asyncio.run(run())


GARBLED = [
    b"",
    b"Welcome",
    b"{}",
    b"[1]",
    b'[{"Id": "x"}]',
    b'[{"Id": "x", "State": "y"}]',
    b'{"message": 1}',
]


@pytest.mark.parametrize("body", GARBLED)
def test_an_answer_that_is_none_of_dockers_is_told(tmp_path: Path, body: bytes) -> None:
    async def run() -> None:
        engine = Engine()

        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body)

        engine.answer = answer
        async with running(engine, tmp_path) as source:
            if body == b"{}":
                assert await source.containers() == []  # no container is none
                with pytest.raises(SourceError) as caught:
                    await source.machine()
                assert caught.value.reason is Reason.GARBLED
            else:
                assert (await refused(source)).reason is Reason.GARBLED

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, Reason.REFUSED), (500, Reason.ENGINE_DOWN), (400, Reason.GARBLED), (404, Reason.GARBLED)],
)
def test_a_status_that_is_not_good_is_told_with_what_was_said(
    tmp_path: Path, status: int, reason: Reason
) -> None:
    async def run() -> None:
        engine = Engine()

        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=status, text="because\x1b[31m of this")

        engine.answer = answer
        async with running(engine, tmp_path) as source:
            error = await refused(source)
            assert (error.reason, "because" in error.message, "\x1b" in error.message) == (
                reason,
                True,
                False,
            )

    asyncio.run(run())


def test_an_engine_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        source = EngineApi("web-1", DockerApi(f"unix://{tmp_path / 'd.sock'}"))
        assert (await refused(source)).reason is Reason.ENGINE_DOWN
        await source.close()
        source = EngineApi("web-1", DockerApi(f"tcp://127.0.0.1:{free_port()}"))
        assert (await refused(source)).reason is Reason.ENGINE_DOWN
        await source.close()

    asyncio.run(run())


def test_closing_ends_a_stream_that_waits(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine()
        engine.events = [told("start")]
        async with running(engine, tmp_path) as source, following(source) as followed:
            await eventually(followed.heard, "the event")
            await source.close()

            await eventually(followed.ended, "its end")

    asyncio.run(run())


@pytest.mark.parametrize("ours", ["signed", "foreign", "missing"])
def test_over_tls_both_sides_show_who_they_are(tmp_path: Path, ours: str) -> None:
    authority, foreign = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    leaf = (foreign if ours == "foreign" else authority).issue_cert("medic@example.com")
    files = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    authority.cert_pem.write_to_path(str(files["ca_file"]))
    if ours != "missing":
        leaf.cert_chain_pems[0].write_to_path(str(files["cert_file"]))
        leaf.private_key_pem.write_to_path(str(files["key_file"]))

    async def run() -> None:
        engine = Engine()
        engine.add("web")
        async with running(engine, tmp_path, context, **files) as source:
            if ours == "signed":
                assert [one.name for one in await source.containers()] == ["web"]
            else:
                error = await refused(source)
                assert error.reason is Reason.REFUSED
                assert "cert_file" in error.message

    asyncio.run(run())


def test_a_container_is_read_without_what_may_hold_a_secret() -> None:
    engine = Engine()
    one = engine.add("web", Health={"Status": "starting"}, Error="no\x07 such file")
    found = container_of(engine.records[one])
    assert (found.name, found.health, found.cpu_limit, found.memory_limit) == (
        "web",
        Health.STARTING,
        0.5,
        None,
    )
    assert (found.error, found.exit_code, found.finished_at) == ("no  such file", None, None)
    assert "planted" not in repr(found)


def test_an_event_is_read_without_its_argument() -> None:
    actor = {"ID": "a", "Attributes": {"name": "web", "exitCode": "137"}}
    died = event_of({"Action": "die", "Actor": actor, "timeNano": 1_500_000_000})
    assert (died.time, died.action, died.name, died.exit_code) == (1.5, "die", "web", 137)
    sick = event_of({"Action": "health_status: unhealthy", "Actor": actor, "timeNano": 0})
    assert (sick.action, sick.health, sick.exit_code) == ("health_status", Health.UNHEALTHY, None)


@pytest.mark.parametrize("version", [1, 2])
def test_the_engines_own_statistics_are_read_of_both_versions(version: int) -> None:
    stats: dict[str, int] = (
        {"total_rss": 4, "rss": 1, "total_cache": 5, "cache": 1, "total_inactive_file": 3, "inactive_file": 1}
        if version == 1
        else {"anon": 4, "file": 5, "inactive_file": 3}
    )
    record: dict[str, Any] = {
        "read": "2026-01-01T00:00:00.5Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000, "usage_in_usermode": 1_500_000_000}},
        "memory_stats": {"usage": 10, "stats": stats},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 8}]
        },
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}},
        "pids_stats": {"current": 6},
    }
    used = usage_of(record)
    assert used is not None
    assert (used.time, used.cpu, used.cpu_user) == (1767225600.5, 2.0, 1.5)
    assert (used.memory_working_set, used.memory_rss, used.memory_cache) == (7, 4, 5)
    assert (used.read_bytes, used.written_bytes, used.processes, used.oom_kills) == (7, 8, 6, None)
    assert usage_of(record | {"read": "0001-01-01T00:00:00Z"}) is None


def test_the_way_to_a_server_is_the_one_of_sites_yml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")

    async def run() -> None:
        ssh = SshSettings("203.0.113.7")
        api = DockerApi("tcp://203.0.113.7:2376")
        ways = [
            source_of(Server("a", ssh)),
            source_of(Server("b", ssh, docker_api=api)),
            source_of(Server("c", local=True)),
        ]
        assert [type(way) for way in ways] == [OverSsh, EngineApi, EngineApi]
        with pytest.raises(SourceError) as caught:
            await ways[2].containers()
        assert "unix:///run/user/1000/docker.sock" in caught.value.message
        for way in ways:
            await way.close()

    asyncio.run(run())


def test_a_call_that_gets_no_answer_ends_the_stream_too(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine()
        engine.events = [told("start")]
        async with running(engine, tmp_path) as source, following(source) as followed:
            await eventually(followed.heard, "the event")

            async def silence(_: web.Request) -> web.Response:
                await asyncio.sleep(3600)
                return web.Response()

            engine.answer = silence
            assert (await refused(source)).reason is Reason.TIMEOUT

            await eventually(followed.ended, "its end")

    asyncio.run(run())
