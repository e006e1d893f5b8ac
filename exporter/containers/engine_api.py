"""Ask Docker's Engine API: over its unix socket, or over TCP, there with TLS and a client's certificate.

Paths without a version: the engine answers in its newest, and what is read here is in all of them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from core.servers.server import DockerApi
from exporter.containers.cgroup_files import CgroupFiles
from exporter.containers.docker_json import (
    ACTIONS,
    NOT_DOCKERS,
    container_of,
    event_of,
    printable,
    usage_of,
)
from exporter.containers.engine_connection import connector, encrypted, unreached
from exporter.containers.model import Container, Event, Machine, Reason, SourceError, Usage
from exporter.containers.status_text import still_holds

CALL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
_AT_ONCE = 8
_COUNTED_AT_ONCE = 100
"""The engine counts once a second and answers then: those that wait together wait for the same second."""
_LONGEST_EVENT = 256 * 1024
_FILTERS = json.dumps({"type": ["container"], "event": list(ACTIONS)})


class _GoneError(Exception):
    """There is no such container any more."""


class EngineApi:
    """One engine. Inspects only what the list does not already say: 100 quiet containers are one call."""

    def __init__(
        self,
        name: str,
        address: DockerApi,
        call_seconds: float = CALL_SECONDS,
        files: CgroupFiles | None = None,
    ) -> None:
        self._name = name
        self._address = address
        self._call_seconds = call_seconds
        self._session: aiohttp.ClientSession | None = None
        self._answered = False
        self._known: dict[str, Container] = {}
        self._changed: set[str] = set()
        self._with_host_network: set[str] = set()
        self._streams: set[aiohttp.ClientResponse] = set()
        self._files = files
        self._reading = asyncio.Lock()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._counting = asyncio.Semaphore(_COUNTED_AT_ONCE)

    async def containers(self) -> list[Container]:
        """Return every container, running or not."""
        listed, now = await self._get("/containers/json", all="1")
        with self._garbled("/containers/json"):
            by_id = {str(one["Id"]): one for one in listed}
            self._with_host_network = {one for one in by_id if _on_host_network(by_id[one])}
            news = [one for one in by_id if one in self._changed or not self._holds(by_id[one], now)]
        self._known = {one: known for one, known in self._known.items() if one in by_id}
        self._changed &= by_id.keys()
        for found in await asyncio.gather(*(self._inspect(one) for one in news)):
            if found is not None:
                self._known[found.id] = found
        return [self._known[one] for one in by_id if one in self._known]

    async def machine(self) -> Machine:
        """Return what the engine's machine has."""
        told, _ = await self._get("/info")
        with self._garbled("/info"):
            return Machine(int(told["NCPU"]), int(told["MemTotal"]))

    async def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """Return what the running ones of these use."""
        found: dict[str, Usage] = {}
        if self._files is not None:
            async with self._reading:
                with self._garbled("the files of cgroups"):
                    found = await asyncio.to_thread(self._files.usage, set(ids), self._with_host_network)
        asked = [one for one in ids if one not in found]
        told = await asyncio.gather(*(self._stats(one) for one in asked))
        return found | {one: usage for one, usage in zip(asked, told, strict=True) if usage is not None}

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        with self._told("events"):
            async with self._open().get(
                self._base + "/events", params={"filters": _FILTERS}, timeout=timeout
            ) as answer:
                await self._check(answer, "/events")
                self._streams.add(answer)
                try:
                    async for line in _lines(answer.content):
                        with self._garbled("/events"):
                            event = event_of(json.loads(line))
                        self._changed.add(event.id)
                        yield event
                finally:
                    self._streams.discard(answer)
        raise SourceError(f"Docker on {self._name} ended the stream of events", Reason.ENGINE_DOWN)

    async def close(self) -> None:
        """End every call and connection."""
        self._end_streams()  # closing the session would not wake who waits for one
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _end_streams(self) -> None:
        """End the streams of events: where a call gets no answer, they may have become deaf."""
        for stream in tuple(self._streams):
            stream.close()

    def _holds(self, listed: Mapping[str, Any], now: float) -> bool:
        known = self._known.get(listed["Id"])
        if known is None or listed["State"] != known.state:
            return False
        return f"/{known.name}" in listed["Names"] and still_holds(listed["Status"], known, now)

    async def _inspect(self, one: str) -> Container | None:
        self._changed.discard(one)  # before the call: what happens during it is news again
        try:
            async with self._turn:
                record, _ = await self._get(f"/containers/{one}/json")
        except _GoneError:
            return None
        except SourceError:
            self._changed.add(one)
            raise
        with self._garbled("/containers/…/json"):
            return container_of(record)

    async def _stats(self, one: str) -> Usage | None:
        try:
            async with self._counting:
                record, _ = await self._get(f"/containers/{one}/stats", stream="0", **{"one-shot": "1"})
        except _GoneError:
            return None
        with self._garbled("/containers/…/stats"):
            return usage_of(record)

    async def _get(self, path: str, **params: str) -> tuple[Any, float]:
        """Return the answer and the engine's time."""
        timeout = aiohttp.ClientTimeout(total=self._call_seconds, sock_connect=CONNECT_SECONDS)
        with self._told(path.rpartition("/")[2], self._end_streams):
            async with self._open().get(self._base + path, params=params, timeout=timeout) as answer:
                await self._check(answer, path)
                body = await answer.read()
        with self._garbled(path):
            date = answer.headers.get("Date")
            now = parsedate_to_datetime(date).timestamp() if date else time.time()
            return json.loads(body), now

    async def _check(self, answer: aiohttp.ClientResponse, path: str) -> None:
        self._answered = True
        if answer.status == 200:
            return
        if answer.status in (404, 409) and path.count("/") > 2:
            raise _GoneError
        said = printable((await answer.content.read(2000)).decode("utf-8", "replace"))[:200]
        if answer.status in (401, 403):
            text = f"Docker on {self._name} does not let us ask for {path.split('?')[0]}: {said}"
            raise SourceError(text, Reason.REFUSED)
        text = f"Docker on {self._name} answers with status {answer.status}: {said}"
        if answer.status == 400 and "HTTPS" in said and not encrypted(self._address):
            raise SourceError(f"{text}: give its docker_api ca_file, cert_file, key_file", Reason.REFUSED)
        raise SourceError(text, Reason.ENGINE_DOWN if answer.status >= 500 else Reason.GARBLED)

    @property
    def _base(self) -> str:
        parts = urlsplit(self._address.url)
        if parts.scheme == "unix":
            return "http://docker"
        return f"{'https' if encrypted(self._address) else 'http'}://{parts.netloc}"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            way = connector(self._name, self._address, _COUNTED_AT_ONCE + _AT_ONCE)
            self._session = aiohttp.ClientSession(connector=way, trust_env=False)
        return self._session

    @contextmanager
    def _told(self, call: str, lost: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Say what went wrong on the way: the only place where errors of others become ours."""
        try:
            yield
        except TimeoutError as error:
            lost()
            text = f"Docker on {self._name} did not answer `{call}` in time: does it hang? Try: docker ps"
            raise SourceError(text, Reason.TIMEOUT) from error
        except (aiohttp.ClientError, OSError) as error:
            lost()
            raise unreached(self._name, self._address, error, self._answered) from error

    @contextmanager
    def _garbled(self, path: str) -> Iterator[None]:
        try:
            yield
        except NOT_DOCKERS as error:
            text = f"{self._address.url} ({self._name}) answers {path} with something that is not Docker's"
            raise SourceError(f"{text}: is it Docker that listens there?", Reason.GARBLED) from error


def _on_host_network(listed: Mapping[str, Any]) -> bool:
    return (listed.get("HostConfig") or {}).get("NetworkMode") == "host"


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield whole lines; the engine writes one object a line."""
    rest = b""
    async for piece in content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > _LONGEST_EVENT:
            raise aiohttp.ClientPayloadError("a line without an end")
