"""The life of the remediator's process: its port, its signals, a clean and quick end."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
import threading
from typing import Any

from waitress.server import create_server

from core.faults import ConfigError
from core.logs import fields
from remediator.errors import StartError
from remediator.intake.alerts import MAX_BODY
from remediator.service import Remediator
from remediator.web import create_app
from remediator.web.handed import HandedServer
from remediator.web.prompt import put_first
from remediator.web.tls_relay import TLSRelay

log = logging.getLogger(__name__)
THREADS = 8
TURN = 0.0005
"""Seconds that a thread may keep the interpreter from others, instead of Python's 5 ms: to take a
notification in, it is asked for a dozen times, once after each wait for the database."""
END_WITHIN = 5.0
"""Seconds that an act under way gets at the end; a longer one is taken up again by the next start."""


def serve(remediator: Remediator, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; raise StartError where the port cannot be had."""
    server, relay = _listen(remediator, host, port)
    put_first(server, remediator.store, remediator.settings.webhook_token)
    _be_quick_to_answer()
    signals = _signals()
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    remediator.start()
    thread.start()
    if relay is not None:
        relay.start()
    log.info("remediator runs", extra=fields(address=f"{host}:{port}", sites=len(remediator.policy().sites)))
    _until_the_end(signals, remediator)
    log.info("remediator ends")
    if relay is not None:
        relay.stop()
    server.close()
    remediator.stop(END_WITHIN)


def _be_quick_to_answer() -> None:
    """Let no thread, and no garbage collection, keep a notification waiting for long."""
    sys.setswitchinterval(TURN)
    gc.collect()
    gc.freeze()  # what is there now stays: to go through all of it again and again takes 0.1 s each time


def _listen(remediator: Remediator, host: str, port: int) -> tuple[Any, TLSRelay | None]:
    """Return the server; and where TLS is spoken, what takes clients in for it."""
    listening, app, web = _bind(host, port), create_app(remediator), remediator.settings.web
    adjustments = {
        "threads": THREADS,
        "ident": "sitemedic",
        "max_request_body_size": MAX_BODY + 1,
        "max_request_header_size": 65536,
        "channel_timeout": 30,
        "connection_limit": 200,
        "asyncore_use_poll": True,
        "clear_untrusted_proxy_headers": True,
    }
    if web.tls is None:
        return create_server(app, map={}, sockets=[listening], **adjustments), None
    server = HandedServer(app, url_scheme="https", **adjustments)
    return server, TLSRelay(listening, web, server.hand_over)


def _bind(host: str, port: int) -> socket.socket:
    """Listen on an address (empty: every one); waitress would leave its socket open where that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        cause = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            cause = "something listens there already"
        mend = "stop it, or give another --web.listen-address"
        raise StartError(f"cannot listen on {host}:{port}: {cause}; {mend}") from error


def _signals() -> socket.socket:
    """Return what the number of each signal can be read from.

    The kernel may give a signal to any thread; Python's handlers run in the main one, which would not wake.
    """
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    signal.set_wakeup_fd(sending.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return receiving


def _until_the_end(signals: socket.socket, remediator: Remediator) -> None:
    """Read sites.yml anew at each SIGHUP; return at SIGTERM or SIGINT."""
    while (number := signals.recv(1)[0]) not in (signal.SIGTERM, signal.SIGINT):
        if number == signal.SIGHUP:
            once = threading.Thread(target=_reload_quietly, args=(remediator,), name="reload-once")
            once.daemon = True
            once.start()


def _reload_quietly(remediator: Remediator) -> None:
    try:
        remediator.reload()
    except ConfigError:
        return  # told by reload
