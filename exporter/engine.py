"""The engine: libcurl's multi interface on one epoll, driven by the running asyncio loop.

libcurl tells which sockets it waits for; they are kept in one raw epoll whose own descriptor is the
only one that the loop watches, so a wake-up takes everything that is ready at once. Wake-ups cost
more than probes (CPU per probe at 1,000/s: 93-120 us so, 152 us with a loop callback per socket).

    EngineClosedError   the engine was closed while a transfer was in flight
"""

import asyncio
import select
import time
from typing import Any, NamedTuple

import pycurl

KEPT_HANDLES = 256
"""Idle easy handles kept for the next transfers; each is about 7 kB."""

_IN, _OUT, _ERR = pycurl.CSELECT_IN, pycurl.CSELECT_OUT, pycurl.CSELECT_ERR
_WANTS = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_BATCH = 512
_LOOK_EVERY = 0.0003
"""Seconds of work on answers after which those that came meanwhile are looked at: no oftener, it costs."""
_STARTS_AT_ONCE = 10
"""Transfers that begin in one go; beyond these, what has been answered meanwhile is looked at in between."""


class EngineClosedError(Exception):
    """The engine was closed while a transfer was in flight."""


class Ending(NamedTuple):
    """How a transfer ended: libcurl's code (0: well) and its words."""

    code: int
    message: str


_WELL = Ending(0, "")


def _masks() -> list[int]:
    masks = []
    for events in range(64):
        mask = 0
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLPRI):
            mask |= _IN
        if events & select.EPOLLOUT:
            mask |= _OUT
        if events & select.EPOLLERR:
            mask |= _ERR
        masks.append(mask)
    return masks


_MASKS = _masks()


class Engine:
    """Runs libcurl transfers; single-threaded, bound to the loop it was made in."""

    def __init__(self) -> None:
        """Make an engine on the running loop; `close()` it in the end."""
        self._loop = asyncio.get_running_loop()
        self._idle: list[Any] = []
        self._waiting: dict[Any, asyncio.Future[Ending]] = {}
        self._watched: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings = float("inf")
        """When the timer rings; it cannot be asked: uvloop has one without `when` for what is due now."""
        self._due = float("inf")
        self._kicked = False
        self._added = 0
        """Transfers that libcurl has not begun yet."""
        self._looked = 0.0
        self._closed = False
        self._epoll = select.epoll()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    @property
    def in_flight(self) -> int:
        """Return how many transfers are running."""
        return len(self._waiting)

    def take(self) -> Any:
        """Return a clean easy handle; give it back with `give_back`."""
        if self._idle:
            return self._idle.pop()
        return pycurl.Curl()

    def give_back(self, curl: Any) -> None:
        """Take back a handle that is in no transfer; its options and cookies are forgotten."""
        if self._closed or len(self._idle) >= KEPT_HANDLES:
            curl.close()
            return
        curl.setopt(pycurl.COOKIELIST, "ALL")  # reset keeps them
        curl.reset()
        self._idle.append(curl)

    async def perform(self, curl: Any) -> Ending:
        """Run the transfer that `curl` was configured for and return how it ended.

        Cancelling ends the transfer at once. Raises EngineClosedError.
        """
        if self._closed:
            raise EngineClosedError
        self._multi.add_handle(curl)
        future: asyncio.Future[Ending] = self._loop.create_future()
        self._waiting[curl] = future
        self._added += 1
        try:
            if self._added >= _STARTS_AT_ONCE:
                self._advance()
            else:
                self._kick_soon()
            return await future
        finally:
            if self._waiting.pop(curl, None) is not None:
                self._multi.remove_handle(curl)

    def close(self) -> None:
        """End every transfer and free all descriptors. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for curl, future in self._waiting.items():
            self._multi.remove_handle(curl)
            if not future.done():
                future.set_exception(EngineClosedError())
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        for curl in self._idle:
            curl.close()
        self._idle.clear()
        self._multi.close()
        self._epoll.close()

    def _on_socket(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._watched:
                self._watched.discard(descriptor)
                try:
                    self._epoll.unregister(descriptor)
                except OSError:  # gone from the epoll already: libcurl closed the descriptor first
                    return
        else:
            # What raises here ends every transfer, and all that come after it: libcurl gives itself up.
            try:
                (self._epoll.modify if descriptor in self._watched else self._epoll.register)(
                    descriptor, _WANTS[what]
                )
            except FileNotFoundError:  # closed, and opened anew for another
                self._epoll.register(descriptor, _WANTS[what])
            except FileExistsError:
                self._epoll.modify(descriptor, _WANTS[what])
            self._watched.add(descriptor)

    def _on_timer(self, milliseconds: int) -> None:
        """Note when libcurl wants to be called. A timer that comes too early asks again by itself."""
        if milliseconds < 0:
            self._due = float("inf")
        elif milliseconds == 0:
            self._due = 0.0
            self._kick_soon()
        else:
            self._due = self._loop.time() + milliseconds / 1000
            if self._timer is None or self._rings > self._due:
                self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._due
        self._timer = self._loop.call_at(self._due, self._on_due)

    def _kick_soon(self) -> None:
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)

    def _kick(self) -> None:
        self._kicked = False
        if not self._closed and (self._added or self._due == 0.0):
            self._advance()

    def _on_due(self) -> None:
        self._timer = None
        if self._closed or self._due == float("inf"):
            return
        if self._loop.time() + 0.001 < self._due:
            self._arm()
        else:
            self._advance()

    def _advance(self) -> None:
        """Have libcurl do what is due, and then what can be done at once: nearby a connection is there."""
        self._added = 0
        _, running = self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        if running < len(self._waiting):
            self._collect()
        self._on_ready()

    def _look(self) -> None:
        if time.monotonic() > self._looked + _LOOK_EVERY and not self._closed:
            self._on_ready()

    def _on_ready(self) -> None:
        """Hand libcurl all that is ready; its clock is read then, so nothing of ours may come before."""
        act, watched = self._multi.socket_action, self._watched
        running = len(self._waiting)
        for descriptor, events in self._epoll.poll(0, _BATCH):
            # An earlier event of this batch may have ended this one's transfer.
            if descriptor in watched:
                _, running = act(descriptor, _MASKS[events & 63])
        self._looked = time.monotonic()
        if running < len(self._waiting):
            self._collect()

    def _collect(self) -> None:
        left = 1
        while left:
            left, well, badly = self._multi.info_read()
            for curl in well:
                self._finish(curl, _WELL)
            for curl, code, message in badly:
                self._finish(curl, Ending(code, message))

    def _finish(self, curl: Any, ending: Ending) -> None:
        self._multi.remove_handle(curl)
        future = self._waiting.pop(curl, None)
        if future is not None and not future.done():
            future.set_result(ending)
            # The work on this answer must not make the next ones look slower than they were.
            self._loop.call_soon(self._look)
