"""The demo's Linode API over the lab's servers: faults a Linode, and what it accepted in the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import has_request_context, request

from demo.linode_api import SCOPES, create_app, make_api_server
from demo.linode_faults import Fault, Faults
from demo.linode_state import Account
from stack.campaign.world import World

JOB_SECONDS = 1.5
TOKEN = "lab-linode-token"


class LabFaults(Faults):
    """Faults of one Linode each, met by its next calls; events are asked without a Linode's id."""

    def __init__(self) -> None:
        super().__init__()
        self._by_linode: dict[int, list[Fault]] = {}
        self._guard = threading.Lock()

    def order_for(self, linode: int, fault: Fault) -> None:
        """Have a fault on the next calls that name this Linode."""
        with self._guard:
            self._by_linode.setdefault(linode, []).append(fault)

    def clear_for(self, linode: int) -> None:
        """Have none on it any more."""
        with self._guard:
            self._by_linode.pop(linode, None)

    def next(self, call: str) -> Fault | None:
        """Return the fault that this call meets."""
        named = (request.view_args or {}).get("linode_id") if has_request_context() else None
        with self._guard:
            waiting = self._by_linode.get(named, []) if named is not None else []
            for fault in waiting:
                if fault.on in ("all", call):
                    fault.times = (fault.times or 1) - 1
                    if fault.times <= 0:
                        waiting.remove(fault)
                    return fault
        return super().next(call)


class LabAccount(Account):
    """One whose events of other people can come to their end."""

    def finish(self, event_id: int) -> None:
        """End an event that was added as one under way."""
        with self._lock:
            for event in self._events:
                if event.id == event_id:
                    event.status = "finished"


def account_of(world: World) -> LabAccount:
    """Return the account that holds the lab's Linodes; a job that it accepts is done to the world."""
    linodes = {one.linode: one.name for one in world.servers.values() if one.linode is not None}

    def power(linode: int, what: str) -> None:
        world.power(world.servers[linodes[linode]], what)

    return LabAccount(linodes, power, job_seconds=JOB_SECONDS)


@contextmanager
def linode_api(account: Account, faults: LabFaults) -> Iterator[str]:
    """Serve the API until the block ends; yield its address."""
    server = make_api_server(create_app(account, {TOKEN: SCOPES}, None, faults), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}/v4"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
