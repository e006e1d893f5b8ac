"""The fake Linode API as a running server, for tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.secrets import Secret
from demo.linode_api import SCOPES, create_app, make_api_server
from demo.linode_faults import Faults
from demo.linode_state import Account, Power
from remediator.clients.linode import LinodeAPI
from tests.ports import free_port

TOKEN = "planted-linode-token"
LINODE = 101


@dataclass
class FakeLinode:
    """A running fake, its account and its faults."""

    url: str
    account: Account
    faults: Faults

    def client(self, token: str = TOKEN, patience: float = 5.0) -> LinodeAPI:
        return LinodeAPI(Secret(token), self.url, (2.0, patience))


@contextmanager
def running_linode_api(power: Power | None = None, job_seconds: float = 0.8) -> Iterator[FakeLinode]:
    """Serve an account with two Linodes, a token that may do what is needed, and two that may not."""
    account, faults = Account({LINODE: "web-1", 102: "db-1"}, power, job_seconds=job_seconds), Faults()
    tokens = {
        TOKEN: SCOPES,
        "reads-only": frozenset({"linodes:read_only", "events:read_only"}),
        "no-events": frozenset({"linodes:read_write"}),
    }
    port = free_port()
    server = make_api_server(create_app(account, tokens, None, faults), "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield FakeLinode(f"http://127.0.0.1:{port}/v4", account, faults)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
