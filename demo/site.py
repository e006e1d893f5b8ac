"""The demo's website: a small shop that can be told to answer wrongly, to be slow or to die.

A fault lives in this process's memory and comes in through its standard input, one JSON object a line
(`{"fault": "slow", "seconds": 0.6}`, `{"fault": null}`), so a restart of the "container" clears it.

Run as a script (`python -I -S site.py --port N`), therefore of the standard library alone.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

MARKER = "Welcome to the demo shop"
FAULTS = ("bad-response", "wrong-content", "slow", "die")
DEFAULT_SLOW_SECONDS = 1.5
DEATH_STATUS = 1

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Demo shop</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:36em;
margin:4em auto;padding:0 1em;color:#222}}</style>
<h1>{heading}</h1>
<p>{text}</p>
</html>
"""
_GOOD = (MARKER, "Three teas, two cups and one pot are in stock. Sitemedic keeps this shop open.")
_WRONG = ("Index of /", "This folder is empty.")
_BAD = ("500 Internal Server Error", "The shop has lost its database.")


@dataclass
class Health:
    """What is wrong with the site at this moment; shared by its threads."""

    fault: str | None = None
    slow_seconds: float = DEFAULT_SLOW_SECONDS

    def apply(self, line: str) -> None:
        """Take one line of control; raises ValueError for one that is not understood."""
        order = json.loads(line)
        fault = order["fault"]
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}")
        self.slow_seconds = float(order.get("seconds") or self.slow_seconds)
        self.fault = fault
        if fault == "die":
            _say("FATAL out of memory, giving up", sys.stderr)
            os._exit(DEATH_STATUS)


def answer(path: str, fault: str | None) -> tuple[HTTPStatus, str, str]:
    """Tell what the shop answers: status, content type and body."""
    page, text = "text/html; charset=utf-8", "text/plain; charset=utf-8"
    if fault == "bad-response":
        return HTTPStatus.INTERNAL_SERVER_ERROR, page, _PAGE.format(heading=_BAD[0], text=_BAD[1])
    if path == "/health":
        return HTTPStatus.OK, text, "ok\n"
    if path != "/":
        return HTTPStatus.NOT_FOUND, text, "not found\n"
    heading, words = _WRONG if fault == "wrong-content" else _GOOD
    return HTTPStatus.OK, page, _PAGE.format(heading=heading, text=words)


def make_server(host: str, port: int, health: Health) -> ThreadingHTTPServer:
    """Bind the website; raises OSError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "demo-shop", ""
        timeout = 10

        def do_GET(self) -> None:
            fault = health.fault
            if fault == "slow":
                time.sleep(health.slow_seconds)
            status, content_type, body = answer(self.path.partition("?")[0], fault)
            payload = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _say(f"ERROR {self.path}: connection to the database lost", sys.stderr)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            _say(format % args)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a visitor who hung up."""

    return Server((host, port), Handler)


def _say(line: str, stream: Any = None) -> None:
    print(line, file=stream or sys.stdout, flush=True)


def _obey(health: Health) -> None:
    for line in sys.stdin:
        try:
            health.apply(line)
        except (ValueError, KeyError, TypeError) as error:
            _say(f"control line not understood: {error}", sys.stderr)


def _leave(_number: int, _frame: FrameType | None) -> None:
    _say("shop closes")
    os._exit(0)


def serve(host: str, port: int) -> int:
    """Serve until SIGTERM; return 1 when the port cannot be had."""
    health = Health()
    try:
        server = make_server(host, port, health)
    except OSError as error:
        _say(f"cannot listen on {host}:{port}: {error.strerror}", sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    threading.Thread(target=_obey, args=(health,), daemon=True).start()
    _say(f"shop is open on {host}:{server.server_address[1]}")
    server.serve_forever(poll_interval=0.5)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="the demo's website")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    return serve(options.host, options.port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
