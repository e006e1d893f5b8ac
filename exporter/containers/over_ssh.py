"""Ask a server's engine over SSH, through the verbs of sitemedic-wrapper that only look.

One connection a server, kept; paramiko waits in threads of this source's own, so that one server that hangs
takes nothing from the others. Every wait has an end: the wrapper's, the read's, and at last the connection's.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from core.servers.server import ActionError, SshSettings
from core.servers.server import Reason as Why
from core.servers.ssh import WHOLE_CONNECT_SECONDS, SshConnector
from core.servers.ssh_stream import SshStream
from exporter.containers.cgroups import Clock, usages_of
from exporter.containers.docker_json import NOT_DOCKERS, container_of, event_of
from exporter.containers.model import Container, Event, Machine, Reason, SourceError, Usage
from exporter.containers.threads import BusyError, Threads
from exporter.containers.wrapper_answers import failure, first_line_fault

CALL_SECONDS = 15.0
"""More than the wrapper gives Docker's command (10), so that it is the wrapper that says what hangs."""
_MOST_BYTES = 8 * 1024 * 1024
_LATE_SECONDS = 5.0
_LONGEST_EVENT = 64 * 1024
_STEP_SECONDS = 10.0
_MOST_THREADS = 6
_REASONS = {
    Why.UNREACHABLE: Reason.UNREACHABLE,
    Why.CANNOT_TELL: Reason.UNREACHABLE,
    Why.TIMEOUT: Reason.TIMEOUT,
}
T = TypeVar("T")


@dataclass(frozen=True)
class _Answer:
    output: str
    status: int
    said: str


class OverSsh:
    """One server's engine behind its sshd."""

    def __init__(self, name: str, settings: SshSettings, call_seconds: float = CALL_SECONDS) -> None:
        self._name = name
        self._settings = settings
        self._call_seconds = call_seconds
        self._connector: SshConnector | None = None
        self._opening = asyncio.Lock()
        self._threads = Threads(_MOST_THREADS, f"containers of {name}")
        self._clock = Clock()
        self._closed = False

    async def containers(self) -> list[Container]:
        """Return every container that the wrapper shows."""
        text = await self._ask("containers")
        with self._garbled("containers"):
            return [container_of(json.loads(line)) for line in text.splitlines()]

    async def machine(self) -> Machine:
        """Return what the server has."""
        text = await self._ask("machine")
        with self._garbled("machine"):
            _, cores, memory = text.split()
            return Machine(int(cores), int(memory))

    async def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """Return what the running ones of these use: one command, whatever their number."""
        if not ids:
            return {}
        text = await self._ask("usage")
        with self._garbled("usage"):
            found = usages_of(text, self._clock)
        return {one: found[one] for one in ids if one in found}

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on."""
        stream = await self._start("events")
        try:
            async for line in self._lines(stream):
                with self._garbled("events"):
                    event = event_of(json.loads(line))
                yield event
            said, status = await self._bounded(lambda: (stream.stderr(), stream.exit_status()))
            raise self._ended(said, status)
        finally:
            self._aside(stream.close)

    async def close(self) -> None:
        """End every call and connection."""
        self._closed = True
        connector, self._connector = self._connector, None
        if connector is not None:
            self._aside(connector.close)

    async def _ask(self, verb: str) -> str:
        """Return what a verb answers, without its first line."""
        stream = await self._start(verb)
        answer = await self._bounded(lambda: _read(stream, self._call_seconds))
        first, _, rest = answer.output.partition("\n")
        if answer.status != 0:
            if answer.status == -1:
                self._drop()
            raise failure(self._name, answer.status, answer.said)
        fault = first_line_fault(self._name, first)
        if fault is not None:
            raise fault
        return rest

    async def _start(self, verb: str) -> SshStream:
        connector = await self._connected()
        return await self._bounded(
            lambda: connector.stream(["sitemedic-wrapper", verb], self._call_seconds), late=self._call_seconds
        )

    async def _connected(self) -> SshConnector:
        """Return the connection that there is, or open one."""
        async with self._opening:
            if self._connector is not None and self._connector.alive:
                return self._connector
            self._drop()
            self._need_open()
            opened = self._submit(lambda: SshConnector(self._settings))
            try:
                with self._told():
                    limit = WHOLE_CONNECT_SECONDS + 2 * _LATE_SECONDS
                    connector = await asyncio.wait_for(asyncio.wrap_future(opened), limit)
            except BaseException:
                opened.add_done_callback(_close_late)  # whoever asked for it has gone
                raise
            if self._closed:
                self._aside(connector.close)
                self._need_open()
            self._connector = connector
            return connector

    async def _lines(self, stream: SshStream) -> AsyncIterator[str]:
        """Yield whole lines, without the wrapper's first, until the stream ends."""
        rest, first = b"", True
        while piece := await self._piece(stream):
            *lines, rest = (rest + piece).split(b"\n")
            for line in (one.decode("utf-8", "replace") for one in lines):
                if not first:
                    yield line
                elif (fault := first_line_fault(self._name, line)) is not None:
                    raise fault
                first = False
            if len(rest) > _LONGEST_EVENT:
                raise SourceError(f"{self._name} sends an event without an end", Reason.GARBLED)

    async def _bounded(self, work: Callable[[], T], late: float = 0.0) -> T:
        """Do what waits for the server, and close the connection when it takes too long."""
        seconds = self._call_seconds + late + _LATE_SECONDS
        with self._told():
            try:
                return await asyncio.wait_for(self._in_thread(work), seconds)
            except (TimeoutError, ActionError):
                self._drop()  # what hangs here hangs for the next as well: begin anew
                raise

    async def _piece(self, stream: SshStream) -> bytes:
        """Return the next piece, however long it takes; in steps, so that no thread is left behind."""
        while True:
            try:
                return await self._in_thread(lambda: stream.read(_STEP_SECONDS))
            except TimeoutError:
                continue
            except (OSError, EOFError):
                return b""

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        self._need_open()
        return asyncio.wrap_future(self._submit(work))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._threads.submit(work)
        except BusyError as error:
            text = f"{self._name} has not answered what it was asked before: is it overloaded?"
            raise SourceError(text, Reason.TIMEOUT) from error

    def _need_open(self) -> None:
        if self._closed:
            raise SourceError(f"{self._name} is not watched any more", Reason.UNREACHABLE)

    def _aside(self, work: Callable[[], None]) -> None:
        """Have something closed without waiting for it, though all of our threads may hang."""
        threading.Thread(target=work, name=f"closing {self._name}", daemon=True).start()

    def _drop(self) -> None:
        connector, self._connector = self._connector, None
        if connector is not None:
            self._aside(connector.close)

    def _ended(self, said: str, status: int) -> SourceError:
        """Say why a stream ended that has no end of its own."""
        if status not in (-1, 0):
            return failure(self._name, status, said)
        if status == 0:
            return failure(self._name, 1, said or "docker events ended")
        self._drop()
        return SourceError(f"the connection to {self._name} was lost", Reason.UNREACHABLE)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong on the way: the only place where errors of others become ours."""
        try:
            yield
        except ActionError as error:
            raise SourceError(error.message, _REASONS.get(error.reason, Reason.REFUSED)) from error
        except TimeoutError as error:
            text = f"{self._name} did not answer in time: is it overloaded, or does its Docker hang?"
            raise SourceError(text, Reason.TIMEOUT) from error
        except ValueError as error:
            text = f"{self._name} answers without an end: look at its line in authorized_keys"
            raise SourceError(text, Reason.GARBLED) from error
        except (OSError, EOFError) as error:
            raise SourceError(f"the connection to {self._name} was lost", Reason.UNREACHABLE) from error

    @contextmanager
    def _garbled(self, verb: str) -> Iterator[None]:
        try:
            yield
        except NOT_DOCKERS as error:
            text = (
                f"{self._name} answers `sitemedic-wrapper {verb}` with something that is not the wrapper's: "
                f"put it there anew: ./sitemedic server setup {self._name}"
            )
            raise SourceError(text, Reason.GARBLED) from error


def _close_late(opened: Future[SshConnector]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


def _read(stream: SshStream, seconds: float) -> _Answer:
    with stream:
        output = stream.read_all(seconds, _MOST_BYTES)
        return _Answer(output.decode("utf-8", "replace"), stream.exit_status(), stream.stderr())
