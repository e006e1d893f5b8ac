"""Drive /probe: open loop, where a request is sent when its time has come, whatever became of those before
(and closed beside it).

A peer that cannot keep up (blackbox_exporter at 1,000/s wants about two slow processors) is not buried:
beyond `AT_ONCE` requests the next ones wait, and the window lasts until all are answered. Its cost per
probe is then that of a closed loop, which is its cheapest; the rate that was reached is told.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import quote

from benchmarks.connection import AnswerError, Connection
from benchmarks.processes import Process

# What Prometheus sends, but for gzip: blackbox_exporter would pack its answer, and ours would not.
_HEADERS = "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
_SUCCESS = b"\nprobe_success 1\n"

AT_ONCE = 64
"""Requests, each on a connection of its own, that wait for their answer at the same time."""


AT_ONCE_CLOSED = 32


@dataclass(frozen=True)
class Driven:
    """What one window of driving showed."""

    probes: int
    cpu_seconds: float
    seconds: float
    """How long it took until the last answer was there."""


class OpenLoop:
    """Asks one process for probes of one target, over connections that are kept; a context manager."""

    def __init__(self, process: Process, targets: Sequence[str], module: str = "http_2xx") -> None:
        """Ask `process` for probes of `targets` in turn."""
        self._process = process
        self._paths = cycle([f"/probe?module={module}&target={quote(one, safe='')}" for one in targets])
        self._idle: list[Connection] = []
        self._all: list[Connection] = []
        self._room = asyncio.Semaphore(AT_ONCE)
        self._failed: BaseException | None = None

    async def __aenter__(self) -> "OpenLoop":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._all:
            connection.close()
        await asyncio.sleep(0)

    async def drive(self, rate: float, seconds: float) -> Driven:
        """Ask for `rate` probes a second. Raises AnswerError when one of them does not succeed."""
        loop, running = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        count, began, cpu = max(1, round(rate * seconds)), time.monotonic(), self._process.cpu_seconds()
        for number in range(count):
            wait = began + number / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            task = loop.create_task(self._ask())
            running.add(task)
            task.add_done_callback(running.discard)
            if self._failed is not None:
                break
        await asyncio.gather(*running)
        if self._failed is not None:
            raise self._failed
        # The window is as long as it was asked to be, also where probes are few.
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        return Driven(count, self._process.cpu_seconds() - cpu, time.monotonic() - began)

    async def drive_closed(self, seconds: float) -> Driven:
        """Keep `AT_ONCE_CLOSED` requests asked. Raises AnswerError when one of them does not succeed."""
        began, cpu, done = time.monotonic(), self._process.cpu_seconds(), 0

        async def keep_asking() -> None:
            nonlocal done
            while time.monotonic() < began + seconds and self._failed is None:
                await self._ask()
                done += 1

        await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE_CLOSED)))
        if self._failed is not None:
            raise self._failed
        return Driven(done, self._process.cpu_seconds() - cpu, time.monotonic() - began)

    async def _ask(self) -> None:
        async with self._room:
            try:
                connection = self._idle.pop() if self._idle else await self._connect()
                body = await connection.get(next(self._paths), _HEADERS)
                if _SUCCESS not in body:
                    raise AnswerError(f"{self._process.name}: a probe failed:\n{body.decode()}")
            except (AnswerError, OSError, EOFError) as error:
                self._failed = error
                return
            self._idle.append(connection)

    async def _connect(self) -> Connection:
        connection = await Connection.to(self._process)
        self._all.append(connection)
        return connection
