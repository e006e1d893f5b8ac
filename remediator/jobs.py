"""A bounded pool of daemon threads: what finds none free is refused, not queued; the caller asks again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from queue import SimpleQueue

from core.logs import fields

log = logging.getLogger(__name__)


class Jobs:
    """Runs at most `size` jobs at once, never two of one key."""

    def __init__(
        self,
        name: str,
        size: int,
        done: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._size = size
        self._done = done
        self._failed = failed
        self._lock = threading.Lock()
        self._running: dict[Hashable, float] = {}
        self._queue: SimpleQueue[tuple[Hashable, Callable[[], None]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, key: Hashable, job: Callable[[], None]) -> bool:
        """Run a job soon; False where one of that key runs or all threads are taken."""
        with self._lock:
            if key in self._running or len(self._running) >= self._size:
                return False
            self._running[key] = time.monotonic()
            if len(self._threads) < self._size:
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._threads[-1].start()
        self._queue.put((key, job))
        return True

    def running(self, younger_than: float | None = None) -> set[Hashable]:
        """Return the keys of the jobs under way, where asked only of those younger than some seconds."""
        now = time.monotonic()
        with self._lock:
            return {
                key
                for key, since in self._running.items()
                if younger_than is None or now - since < younger_than
            }

    @property
    def free(self) -> int:
        """Return how many more jobs would be taken."""
        with self._lock:
            return self._size - len(self._running)

    def stop(self, patience: float) -> bool:
        """Wait up to `patience` seconds for what runs; tell whether all of it came to its end."""
        deadline = time.monotonic() + patience
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        for _ in self._threads:
            self._queue.put(None)
        return not self.running()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            key, job = item
            try:
                job()
            except Exception:
                log.exception("job failed", extra=fields(pool=self._name, job=key))
                self._failed()
            finally:
                with self._lock:
                    self._running.pop(key, None)
                self._done()
