"""An account with Linodes and their events, as the fake Linode API keeps it: time passes by itself.

A power job is an event that is `scheduled`, then `started`, then `finished` after `job_seconds`; meanwhile
the Linode has the status that goes with it. Ids of events only grow; times are in whole seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.logs import fields

log = logging.getLogger(__name__)

JOB_SECONDS = 2.0
_START_SHARE = 0.2
_DURING = {"linode_reboot": "rebooting", "linode_boot": "booting", "linode_shutdown": "shutting_down"}
_AFTER = {"linode_reboot": "running", "linode_boot": "running", "linode_shutdown": "offline"}
_NEEDS = {"linode_reboot": "running", "linode_boot": "offline", "linode_shutdown": "running"}
_POWER_WORD = {"linode_reboot": "reboot", "linode_boot": "boot", "linode_shutdown": "shutdown"}

Power = Callable[[int, str], None]
"""Called with a Linode's id and `reboot`, `boot` or `shutdown`; raising OSError makes the job fail."""


class BusyError(Exception):
    """The Linode is not in a state to take this job."""


class UnknownLinodeError(Exception):
    """There is no Linode of this id."""


@dataclass
class _Event:
    id: int
    linode: int
    action: str
    username: str | None
    begun: float
    status: str = "scheduled"
    runs: bool = True
    ended: float | None = None


@dataclass
class _Linode:
    id: int
    label: str
    ipv4: str
    status: str = "running"
    created: float = field(default_factory=time.time)


class Account:
    """The Linodes and events of one account; every method may be called from any thread."""

    def __init__(
        self,
        linodes: Mapping[int, str],
        power: Power | None = None,
        username: str = "sitemedic",
        job_seconds: float = JOB_SECONDS,
    ) -> None:
        self.username = username
        self._power = power
        self._job_seconds = job_seconds
        self._lock = threading.RLock()
        self._linodes = {
            linode_id: _Linode(linode_id, label, f"203.0.113.{number + 1}")
            for number, (linode_id, label) in enumerate(linodes.items())
        }
        self._events: list[_Event] = []
        self._next_event = 1000

    def job(self, linode_id: int, action: str, *, fails: bool = False, silent: bool = False) -> None:
        """Accept a power job; raises BusyError or UnknownLinodeError.

        `fails`: the job ends badly, and no power is touched; `silent`: it leaves no event and no trace.
        """
        with self._lock:
            linode = self._linode(linode_id)
            self._advance()
            if linode.status != _NEEDS[action]:
                raise BusyError
            if silent:
                return
            event = self._add(linode_id, action, self.username)
            linode.status = _DURING[action]
        log.info("job accepted", extra=fields(linode=linode_id, action=action, event=event.id))
        if self._power is not None and not fails:
            threading.Thread(target=self._do, args=(event,), daemon=True).start()
        elif fails:
            self._fail(event)

    def add_event(self, linode_id: int, action: str, status: str, username: str | None) -> int:
        """Add an event that is not of our making, and return its id."""
        with self._lock:
            self._linode(linode_id)
            event = self._add(linode_id, action, username)
            event.status, event.runs = status, False
            return event.id

    def set_status(self, linode_id: int, status: str) -> None:
        """Give a Linode a status, such as one that only Linode itself causes."""
        with self._lock:
            self._linode(linode_id).status = status

    def instances(self) -> list[dict[str, Any]]:
        """Return all Linodes in the API's shape."""
        with self._lock:
            self._advance()
            return [_instance(linode) for linode in self._linodes.values()]

    def instance(self, linode_id: int) -> dict[str, Any]:
        """Return one Linode in the API's shape; raises UnknownLinodeError."""
        with self._lock:
            self._advance()
            return _instance(self._linode(linode_id))

    def events(self) -> list[dict[str, Any]]:
        """Return all events in the API's shape, newest first."""
        with self._lock:
            self._advance()
            return [self._shape(event) for event in reversed(self._events)]

    def _linode(self, linode_id: int) -> _Linode:
        linode = self._linodes.get(linode_id)
        if linode is None:
            raise UnknownLinodeError
        return linode

    def _add(self, linode_id: int, action: str, username: str | None) -> _Event:
        event = _Event(self._next_event, linode_id, action, username, time.time())
        self._next_event += 1
        self._events.append(event)
        return event

    def _advance(self) -> None:
        now = time.time()
        for event in self._events:
            if not event.runs:
                continue
            if now >= event.begun + self._job_seconds * _START_SHARE:
                event.status = "started"
            if now >= event.begun + self._job_seconds:
                event.status, event.runs = "finished", False
                event.ended = event.begun + self._job_seconds
                self._linodes[event.linode].status = _AFTER[event.action]

    def _do(self, event: _Event) -> None:
        assert self._power is not None
        try:
            self._power(event.linode, _POWER_WORD[event.action])
        except OSError as error:
            log.warning("power did not obey", extra=fields(linode=event.linode, error=str(error)))
            self._fail(event)

    def _fail(self, event: _Event) -> None:
        with self._lock:
            event.status, event.runs, event.ended = "failed", False, time.time()
            self._linodes[event.linode].status = _NEEDS[event.action]

    def _shape(self, event: _Event) -> dict[str, Any]:
        done = event.status in ("finished", "failed", "notification")
        return {
            "id": event.id,
            "action": event.action,
            "created": _time(event.begun),
            "duration": round((event.ended or time.time()) - event.begun, 3),
            "entity": {
                "id": event.linode,
                "label": self._linodes[event.linode].label,
                "type": "linode",
                "url": f"/v4/linode/instances/{event.linode}",
            },
            "message": None,
            "percent_complete": 100 if done else 50 if event.status == "started" else 0,
            "read": False,
            "seen": False,
            "status": event.status,
            "time_remaining": None,
            "username": event.username,
        }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instance(linode: _Linode) -> dict[str, Any]:
    return {
        "alerts": {"cpu": 90, "io": 10000, "network_in": 10, "network_out": 10, "transfer_quota": 80},
        "backups": {"available": False, "enabled": False, "schedule": {"day": None, "window": None}},
        "capabilities": [],
        "created": _time(linode.created),
        "has_user_data": False,
        "host_uuid": "3a3ddd59-d9a7-8cb5-6575-de3de6287b8e",
        "hypervisor": "kvm",
        "id": linode.id,
        "image": "linode/debian12",
        "ipv4": [linode.ipv4],
        "ipv6": None,
        "label": linode.label,
        "lke_cluster_id": None,
        "placement_group": None,
        "region": "eu-central",
        "specs": {"disk": 25600, "gpus": 0, "memory": 1024, "transfer": 1000, "vcpus": 1},
        "status": linode.status,
        "tags": [],
        "type": "g6-nanode-1",
        "updated": _time(linode.created),
        "watchdog_enabled": True,
    }
