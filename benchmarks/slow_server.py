"""A server that answers after a known delay, and tells how long it really was; one share of paths hangs.

`python -m benchmarks.slow_server PORT DELAY`: /NAME is answered after DELAY seconds, /hang-NAME never, and
/delays with how long each request to a name waited: {name: [seconds, …]}.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_delays: dict[str, list[float]] = {}


class _Slow(asyncio.Protocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own, which is no subclass
        self._began = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self._name = data.split(b" ", 2)[1].decode().strip("/")
        if self._name == "delays":
            body = json.dumps(_delays).encode()
            self._transport.write(_ANSWER % (len(body), body))
            self._transport.close()
        elif not self._name.startswith("hang-"):
            asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        if self._transport.is_closing():
            return
        _delays.setdefault(self._name, []).append(time.monotonic() - self._began)
        self._transport.write(_ANSWER % (2, b"ok"))
        self._transport.close()


async def _serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Slow(delay), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
