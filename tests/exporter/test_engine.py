import asyncio
import gc
import socket
import time
from collections.abc import Callable

import pycurl
import pytest

from exporter.engine import Engine, EngineClosedError
from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from exporter.transfer import ALWAYS
from tests.exporter.loopback import (
    always,
    answer,
    eventually,
    http_module,
    open_files,
    run,
    serving,
    tcp_module,
)
from tests.ports import free_port


async def _hold(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_thousand_probes_at_once_all_come_back():
    async def slow(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(answer())
        await writer.drain()

    async def test() -> tuple[int, float]:
        module = http_module()
        async with serving(slow) as port, Probers.start() as probers:
            began = asyncio.get_running_loop().time()
            results = await asyncio.gather(
                *(probers.probe(f"http://127.0.0.1:{port}/{i}", module, 30) for i in range(1000))
            )
            return sum(result.success for result in results), asyncio.get_running_loop().time() - began

    well, seconds = run(test())
    assert well == 1000
    assert seconds < 15, "they did not run side by side"


def test_thousands_of_probes_leave_no_descriptor_and_no_transfer_behind():
    refused = free_port()

    async def test() -> tuple[int, int, int]:
        http, tcp = http_module(), tcp_module()
        async with (
            serving(always(answer())) as port,
            serving(_hold, reads=False) as open_port,
            Probers.start() as probers,
        ):
            kinds = [
                (f"http://127.0.0.1:{port}/", http),
                (f"http://localhost:{port}/", http),
                (f"127.0.0.1:{open_port}", tcp),
                (f"http://127.0.0.1:{refused}/", http),
            ]

            async def some(count: int) -> None:
                for i in range(count):
                    await probers.probe(*kinds[i % len(kinds)], 5)

            await asyncio.gather(*(some(20) for _ in range(10)))
            before = open_files()
            await asyncio.gather(*(some(200) for _ in range(15)))
            await asyncio.sleep(0.1)
            return before, open_files(), probers.engine.in_flight

    before, after, in_flight = run(test())
    assert in_flight == 0
    assert after <= before + 5


def test_closing_frees_every_descriptor_that_the_engine_had():
    async def test() -> tuple[int, int]:
        async with serving(_hold) as port:
            before = open_files()
            probers = Probers.start()
            tasks = [
                asyncio.create_task(probers.probe(f"http://127.0.0.1:{port}/", http_module(), 30))
                for _ in range(5)
            ]
            await eventually(lambda: probers.engine.in_flight == 5)
            await probers.close()
            results = await asyncio.gather(*tasks)
            assert {result.reason for result in results} == {Reason.ERROR}
            assert "stopping" in results[0].detail
            gc.collect()
            await eventually(lambda: open_files() <= before + 5)  # the server's own ends too
            return before, open_files()

    before, after = run(test())
    assert after <= before + 5


def test_a_cancelled_probe_leaves_at_once():
    async def test() -> int:
        async with serving(_hold) as port, Probers.start() as probers:
            task = asyncio.create_task(probers.probe(f"http://127.0.0.1:{port}/", http_module(), 30))
            await eventually(lambda: probers.engine.in_flight == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            again = await probers.probe(f"http://127.0.0.1:{port}/", http_module(), 0.05)
            assert again.reason is Reason.TIMEOUT
            return probers.engine.in_flight

    assert run(test()) == 0


def test_a_closed_engine_takes_nothing_more():
    async def test() -> None:
        engine = Engine()
        engine.close()
        engine.close()
        curl = engine.take()
        with pytest.raises(EngineClosedError):
            await engine.perform(curl)
        engine.give_back(curl)
        assert curl.closed

    run(test())


def test_a_handle_comes_back_clean():
    seen: list[bytes] = []

    async def test() -> None:
        async with serving(always(answer("200 OK", b"", "Set-Cookie: a=1"), seen)) as port:
            engine = Engine()
            for first in (True, False):
                curl = engine.take()
                curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
                curl.setopt(pycurl.COOKIEFILE, "")
                if first:
                    curl.setopt(pycurl.HTTPHEADER, ["X-Secret: 1"])
                    curl.setopt(pycurl.USERPWD, "me:secret")
                assert (await engine.perform(curl)).code == 0
                engine.give_back(curl)
            engine.close()

    run(test())
    assert b"X-Secret" in seen[0]
    assert b"Authorization" in seen[0]
    assert b"X-Secret" not in seen[1]
    assert b"Authorization" not in seen[1]
    assert b"Cookie" not in seen[1]


def test_it_also_runs_on_asyncios_own_loop():
    async def test() -> bool:
        async with serving(always(answer())) as port, Probers.start() as probers:
            return (await probers.probe(f"http://localhost:{port}/", http_module(), 5)).success

    assert asyncio.run(test())


def test_a_timer_that_is_due_at_once_ends_no_transfer():
    async def test() -> list[Result]:
        async with serving(always(answer())) as port, Probers.start() as probers:
            probing = asyncio.create_task(probers.probe(f"http://127.0.0.1:{port}/", http_module(), 5))
            await asyncio.sleep(0)
            # As when the loop was late: uvloop answers such a call with a handle that does not tell its time.
            probers.engine._due = asyncio.get_running_loop().time()
            probers.engine._arm()
            probers.engine._on_timer(1000)
            return [await probing, await probers.probe(f"http://127.0.0.1:{port}/", http_module(), 5)]

    assert [result.reason for result in run(test())] == [None, None]


class _ByHand:
    """Takes connections and requests on a thread's own time; an answer is written when it is asked for."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: dict[bytes, socket.socket] = {}

    def accept(self, count: int) -> None:
        for _ in range(count):
            connection, _ = self._listener.accept()
            connection.settimeout(30)
            self._open[connection.recv(4096).split(b" ")[1]] = connection

    def answer(self, path: bytes) -> None:
        self._open[path].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        for one in (self._listener, *self._open.values()):
            one.close()


def test_the_work_on_one_answer_is_not_in_the_time_of_another_that_has_come_meanwhile():
    async def test() -> float:
        server, engine = _ByHand(), Engine()

        async def ask(path: str, work: Callable[[], object]) -> float:
            curl = engine.take()
            for option, value in (*ALWAYS, (pycurl.URL, f"http://127.0.0.1:{server.port}{path}")):
                curl.setopt(option, value)
            began = time.monotonic()
            await engine.perform(curl)
            around, took = time.monotonic() - began, curl.getinfo(pycurl.TOTAL_TIME)
            work()
            engine.give_back(curl)
            return around - took

        def answer_another_at_work() -> None:
            server.answer(b"/late")
            time.sleep(0.01)

        try:
            first = asyncio.create_task(ask("/first", answer_another_at_work))
            second = asyncio.create_task(ask("/second", lambda: time.sleep(1)))
            late = asyncio.create_task(ask("/late", lambda: None))
            await asyncio.to_thread(server.accept, 3)
            server.answer(b"/first")
            server.answer(b"/second")
            await asyncio.wait_for(asyncio.gather(first, second), 30)
            return await asyncio.wait_for(late, 30)
        finally:
            engine.close()
            server.close()

    assert run(test()) > 0.9, "the answer waited for the work on the one before, and its duration with it"
