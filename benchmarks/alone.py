"""libcurl alone: what a probe costs before anybody schedules it, or makes something of it.

`python -m benchmarks.alone URL SECONDS RATE` (0: closed loop) prints probes and CPU seconds as JSON.
"""

import asyncio
import json
import select
import sys
import time
from dataclasses import asdict
from typing import Any

import pycurl

from benchmarks.open_loop import Driven
from benchmarks.processes import ROOT, ProcessError

AT_ONCE = 32
"""Transfers in flight in the closed loop."""
_TICK = 0.02
_TIMEOUT = pycurl.SOCKET_TIMEOUT
_WANTS = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_SETTINGS = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.FRESH_CONNECT, 1),
    (pycurl.FORBID_REUSE, 1),
    (pycurl.PROXY, ""),
    (pycurl.WRITEFUNCTION, len),
    (pycurl.TIMEOUT_MS, 5000),
)


async def alone(url: str, seconds: float, rate: float) -> Driven:
    """Run libcurl alone in a process of its own. Raises ProcessError."""
    command = (sys.executable, "-m", "benchmarks.alone", url, str(seconds), str(rate))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise ProcessError(f"libcurl alone ended with {process.returncode}")
    return Driven(**json.loads(said))


class _Alone:
    """Transfers on one epoll, as many as are begun; each must succeed."""

    def __init__(self, url: str) -> None:
        self.in_flight = self.done = 0
        self._settings = ((pycurl.URL, url), *_SETTINGS)
        self._idle: list[Any] = []
        self._watched: set[int] = set()
        self._due: float | None = None
        self._epoll = select.epoll()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def begin(self) -> None:
        """Begin one transfer."""
        curl = self._idle.pop() if self._idle else pycurl.Curl()
        curl.reset()
        for option, value in self._settings:
            curl.setopt(option, value)
        self._multi.add_handle(curl)
        self.in_flight += 1

    def turn(self, until: float) -> None:
        """Do what is ready, or wait for it until `until` (monotonic)."""
        now = time.monotonic()
        if self._due is not None and self._due <= now:
            self._due = None
            self._multi.socket_action(_TIMEOUT, 0)
        wait = min(until, self._due if self._due is not None else until) - now
        for descriptor, events in self._epoll.poll(max(0.0, wait)):
            if descriptor in self._watched:
                self._multi.socket_action(descriptor, _mask(events))
        self._collect()

    def _collect(self) -> None:
        left = 1
        while left:
            left, well, badly = self._multi.info_read()
            if badly:
                raise SystemExit(f"a transfer failed: {badly[0][1:]}")
            for curl in well:
                self._multi.remove_handle(curl)
                for fact in (pycurl.RESPONSE_CODE, pycurl.TOTAL_TIME_T, pycurl.CONNECT_TIME_T):
                    curl.getinfo(fact)
                self._idle.append(curl)
            self.done += len(well)
            self.in_flight -= len(well)

    def _on_socket(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._watched:
                self._watched.discard(descriptor)
                self._epoll.unregister(descriptor)
        elif descriptor in self._watched:
            self._epoll.modify(descriptor, _WANTS[what])
        else:
            self._watched.add(descriptor)
            self._epoll.register(descriptor, _WANTS[what])

    def _on_timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _mask(events: int) -> int:
    mask = pycurl.CSELECT_IN if events & (select.EPOLLIN | select.EPOLLHUP) else 0
    mask |= pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
    return mask | (pycurl.CSELECT_ERR if events & select.EPOLLERR else 0)


def _run(url: str, seconds: float, rate: float) -> Driven:
    """Begin `rate` transfers a second, batched as our scheduler does; 0: always `AT_ONCE` at once."""
    transfers, began, cpu = _Alone(url), time.monotonic(), time.process_time()
    tick, end, batch = began, began + seconds, max(1, round(rate * _TICK))
    while (now := time.monotonic()) < end or transfers.in_flight:
        if now < end and not rate:
            for _ in range(AT_ONCE - transfers.in_flight):
                transfers.begin()
        elif now < end and now >= tick:
            for _ in range(batch):
                transfers.begin()
            tick += batch / rate
        transfers.turn(tick if rate else now + _TICK)
    return Driven(transfers.done, time.process_time() - cpu, time.monotonic() - began)


if __name__ == "__main__":
    print(json.dumps(asdict(_run(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))))
