"""Threads for what waits on a server: a few, and none that an ending process would wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(Exception):
    """All of them wait already."""


class Threads:
    """At most so many at once. A pool of concurrent.futures would hold the end of the process up."""

    def __init__(self, most: int, name: str) -> None:
        self._free = threading.Semaphore(most)
        self._name = name

    def submit(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> Future[T]:
        """Do it in a thread. Raises BusyError."""
        if not self._free.acquire(blocking=False):
            raise BusyError
        done: Future[T] = Future()

        def run() -> None:
            try:
                if done.set_running_or_notify_cancel():
                    done.set_result(work(*given, **named))
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                done.set_exception(error)
            finally:
                self._free.release()

        threading.Thread(target=run, name=self._name, daemon=True).start()
        return done
