"""How a server's engine is watched: what is asked when, what is told when it does not answer, and the end."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.servers.containers import ContainerChoice
from core.servers.server import DockerApi, Server
from exporter.containers import asking
from exporter.containers.known import Known
from exporter.containers.model import Reason, SourceError, State
from exporter.containers.page import section
from exporter.containers.service import Containers
from exporter.containers.watch import Timing
from tests.exporter.containers.told import ToldSource, container, event, on_a_loop, usage, watched

SOON = 20.0
DOWN = SourceError("Docker on web-1 does not run: nobody listens there", Reason.ENGINE_DOWN)
QUICK = Timing(
    list_every=30, usage_every=0.2, usage_spacing=0.05, details_after=0.01, list_spacing=0.05,
    first_retry=0.02, longest_retry=0.1,
)  # fmt: skip


@asynccontextmanager
async def running(source: ToldSource, server=None, timing=QUICK) -> AsyncIterator[Containers]:
    containers = Containers(lambda _: source, timing)
    containers.apply([server or watched()])
    try:
        yield containers
    finally:
        await containers.stop()


async def until(condition, what: str) -> None:
    deadline = time.monotonic() + SOON
    while True:
        with contextlib.suppress(LookupError):
            if condition():
                return
        assert time.monotonic() < deadline, f"waited {SOON} s for {what}"
        await asyncio.sleep(0.01)


async def text(containers: Containers) -> str:
    return b"".join([piece async for piece in containers.pieces()]).decode()


def told(containers: Containers) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(containers.answer())["containers"]}


def server(containers: Containers) -> dict:
    return json.loads(containers.answer())["servers"]["web-1"]


@on_a_loop
async def test_an_event_changes_the_state_at_once_and_the_list_tells_the_rest():
    source = ToldSource()
    async with running(source) as containers:
        await until(lambda: source.opened and "shop" in told(containers), "the first list and the events")
        await until(lambda: source.lists == 2, "the list after the stream was opened")
        source.held = asyncio.Event()  # the list can tell nothing yet
        source.there = [container(state=State.EXITED, exit_code=137, oom_killed=True, finished_at=1.0)]
        source.stream.put_nowait(event("die", 500.0, exit_code=137))
        await until(lambda: told(containers)["shop"]["state"] == "exited", "the event")
        assert told(containers)["shop"]["oom_killed"] is False
        source.held.set()
        await until(lambda: told(containers)["shop"]["oom_killed"], "the details")


@on_a_loop
async def test_a_list_that_an_event_overtook_does_not_take_it_back():
    source = ToldSource()
    async with running(source) as containers:
        await until(lambda: source.lists == 2, "the list after the stream was opened")
        source.held = asyncio.Event()
        source.stream.put_nowait(event("pause", 500.0))
        await until(lambda: source.lists == 3, "a list of the paused one, which still says that it runs")
        source.stream.put_nowait(event("unpause", 501.0))
        source.stream.put_nowait(event("die", 502.0))
        await until(lambda: told(containers)["shop"]["state"] == "exited", "the last event")
        source.there = [container(state=State.EXITED, finished_at=502.0, exit_code=0)]
        states = []
        source.held.set()
        await until(
            lambda: states.append(told(containers)["shop"]["state"]) or source.lists >= 4, "another list"
        )
        assert set(states) == {"exited"}


@on_a_loop
async def test_an_engine_that_does_not_answer_is_told_once_and_what_is_known_stays(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    source = ToldSource(uses={"id-of-shop": usage(1.0, 2.0)})
    async with running(source) as containers:
        await until(lambda: told(containers)["shop"]["memory"] is not None, "its usage")
        source.fails = DOWN
        source.stream.put_nowait(DOWN)
        await until(lambda: source.closed > 4, "several tries")
        assert server(containers) == {
            "up": False, "reason": "engine_down", "message": DOWN.message,
            "last_success": server(containers)["last_success"],
        }  # fmt: skip
        page = await text(containers)
        assert 'sitemedic_docker_up{server="web-1",instance="web-1"} 0' in page
        assert 'reason="engine_down"} 1' in page
        assert 'sitemedic_container_up{server="web-1",name="shop",instance="web-1"} 1' in page
        assert "container_memory_usage_bytes" not in page  # a counter that stands still would lie
        source.fails = None
        await until(lambda: server(containers)["up"], "it to be asked again")
        assert "sitemedic_docker_failure" not in await text(containers)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("exporter")]
    assert said.count("containers cannot be watched") == 1
    assert said.count("containers are watched again") == 1


@on_a_loop
async def test_what_is_known_leaves_once_the_engine_has_been_silent_for_long(monkeypatch):
    monkeypatch.setattr(asking, "KEPT", 0.3)
    source = ToldSource()
    async with running(source) as containers:
        await until(lambda: "shop" in told(containers), "the first list")
        source.fails = DOWN
        source.stream.put_nowait(DOWN)
        await until(lambda: not told(containers), "it to leave")
        assert server(containers)["up"] is False
        assert "sitemedic_container_up" not in await text(containers)
        source.fails = None
        await until(lambda: "shop" in told(containers), "it to come back")


@on_a_loop
async def test_lists_go_on_without_events(caplog: pytest.LogCaptureFixture):
    source = ToldSource(events_fail=SourceError("this wrapper has no events", Reason.WRAPPER))
    async with running(source) as containers:
        await until(lambda: source.lists > 5, "several lists")
        assert server(containers)["up"]
        assert source.closed == 0
    said = [record.getMessage() for record in caplog.records]
    assert said.count("containers are watched in part only") == 1


@on_a_loop
async def test_a_stream_that_is_cut_is_opened_again_and_a_list_finds_what_it_missed():
    source = ToldSource()
    async with running(source) as containers:
        await until(lambda: source.opened == 1, "the stream")
        source.there = [container(started_at=200.0, restart_count=3)]
        source.stream.put_nowait(SourceError("the connection was lost", Reason.UNREACHABLE))
        await until(lambda: source.opened == 2, "the stream to be opened again")
        await until(lambda: told(containers)["shop"]["restarts"] == 3, "the restarts")
        assert source.closed == 0


@on_a_loop
async def test_a_call_that_never_ends_is_a_timeout():
    source = ToldSource(held=asyncio.Event())
    slow = Timing(call=0.05, first_retry=0.02, longest_retry=0.1)
    async with running(source, timing=slow) as containers:
        await until(lambda: server(containers)["up"] is False, "the end of the call")
        assert server(containers)["reason"] == "timeout"


@on_a_loop
async def test_a_fault_of_ours_does_not_end_the_watching(caplog: pytest.LogCaptureFixture):
    source = ToldSource()
    tries = []

    def make(_: Server) -> ToldSource:
        tries.append(1)
        if len(tries) < 3:
            raise ZeroDivisionError
        return source

    containers = Containers(make, QUICK)
    containers.apply([watched()])
    try:
        await until(lambda: server(containers)["up"], "the third try")
    finally:
        await containers.stop()
    assert "watching containers broke" in caplog.text


@on_a_loop
async def test_few_servers_are_connected_to_at_once():
    at_once, most = set(), []
    gate = asyncio.Event()

    class Slow(ToldSource):
        async def containers(self):
            at_once.add(self.number)
            most.append(len(at_once))
            await gate.wait()
            at_once.discard(self.number)
            return []

    def make(one: Server) -> ToldSource:
        source = Slow()
        source.number = one.name
        return source

    containers = Containers(make, QUICK)
    containers.apply([watched(name=f"web-{number}") for number in range(100)])
    await until(lambda: len(at_once) == 16, "the first to be asked")
    gate.set()
    await until(lambda: all(watch.asking.up for watch in containers.watches.values()), "all of them")
    await containers.stop()
    assert max(most) == 16


@on_a_loop
async def test_a_reload_keeps_the_connection_and_the_state_of_a_server_that_is_reached_as_before():
    source = ToldSource(there=[container(), container("db")])
    async with running(source) as containers:
        await until(lambda: source.opened == 1, "the stream")
        source.stream.put_nowait(event("start", 300.0))
        await until(lambda: told(containers)["shop"]["restarts"] == 1, "the restart")
        containers.apply([watched(ContainerChoice(name="shop"), ContainerChoice(name="gone"))])
        await until(lambda: set(told(containers)) == {"shop", "gone"}, "the new choice")
        assert told(containers)["shop"]["restarts"] == 1
        assert told(containers)["gone"]["state"] == "absent"
        assert source.closed == 0

        elsewhere = Server("web-1", local=True, docker_api=DockerApi("tcp://127.0.0.1:1"))
        containers.apply([watched(server=elsewhere)])
        await until(lambda: source.closed == 1, "the old connection to be closed")
        containers.apply([])
        await until(lambda: source.closed == 2, "the new one to be closed too")
        assert await text(containers) == ""


def test_the_events_of_others_do_not_make_anybody_ask():
    known = Known(watched(ContainerChoice(name="shop")))
    known.listed([container(), container("ci-7")], time.monotonic())
    assert not known.happened(event("die", 500.0, "ci-7"))
    assert known.happened(event("die", 500.0))
    assert known.happened(event("create", 501.0, "new"))  # whether it is wanted, a list must say


def test_a_start_is_counted_once_whether_its_container_was_known_or_not():
    known = Known(watched())
    known.listed([], time.monotonic())
    known.happened(event("start", 100.1, "new"))
    known.happened(event("start", 100.6, "new"))
    known.listed([container("new", restart_count=0)], 0.0)  # of between the two
    known.listed([container("new", started_at=100.5, restart_count=1)], time.monotonic())
    assert known.states["new"].starts.count == 1


def test_the_counters_of_one_that_has_gone_go_on_when_it_is_back():
    known = Known(watched())
    known.listed([container()], time.monotonic())
    known.happened(event("start", 200.0))
    known.happened(event("destroy", 300.0))
    known.listed([], time.monotonic())
    assert known.states == {}
    known.listed([container(id="new", started_at=400.0)], time.monotonic())
    assert known.states["shop"].starts.count == 2


@on_a_loop
async def test_every_family_stands_once_and_the_page_can_be_read():
    source = ToldSource(
        there=[container('we"ird\\', cpu_limit=0.5, memory_limit=2**20), container("db")],
        uses={'id-of-we"ird\\': usage(5.0, 2.5, oom_kills=1), "id-of-db": usage(5.0, 1.0)},
    )
    async with running(source) as containers:
        await until(lambda: len(told(containers)) == 2, "the first list")
        await until(lambda: all(one["memory"] is not None for one in told(containers).values()), "usage")
        page = await text(containers)
    families = list(text_string_to_metric_families(page))
    assert len({family.name for family in families}) == len(families)
    assert page.count("# TYPE") == len(families)
    samples = {(one.name, one.labels.get("name")): one.value for family in families for one in family.samples}
    assert samples["container_cpu_usage_seconds_total", 'we"ird\\'] == 2.5
    assert samples["sitemedic_container_cpu_limit_cores", 'we"ird\\'] == 0.5
    assert samples["container_spec_cpu_quota", 'we"ird\\'] == 50_000
    assert samples["sitemedic_container_cpu_limit_cores", "db"] == 4
    assert samples["sitemedic_container_memory_limit_bytes", "db"] == 8 * 2**30
    assert samples["container_spec_memory_limit_bytes", "db"] == 0
    assert ("container_oom_events_total", "db") not in samples
    assert samples["sitemedic_containers", None] == 2


@on_a_loop
async def test_what_strangers_have_named_is_only_text_on_the_page():
    evil = "<script>alert(1)</script>"
    source = ToldSource(there=[container(evil)])
    async with running(source) as containers:
        await until(lambda: evil in told(containers), "the first list")
        source.fails = SourceError(f"it says {evil}", Reason.GARBLED)
        source.stream.put_nowait(source.fails)
        await until(lambda: server(containers)["up"] is False, "the failure")
        page = section(containers)
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 2
    assert "garbled: it says" in page


@on_a_loop
async def test_where_nothing_is_watched_the_page_says_nothing_of_it():
    assert section(Containers(lambda _: ToldSource())) == ""
