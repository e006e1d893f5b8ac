"""The server that is probed: nginx where it is installed, else a lean one of ours in its own process."""

import asyncio
import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.faults.certificates import Authority
from benchmarks.processes import Process, free_port, running
from stack.programs import find_program

AUTHORITY = "authority.pem"
BODY = b"<!doctype html><title>Well</title><p>" + b"all is well. " * 44 + b"</p>\n"
"""As long as nginx's own first page, some 600 bytes."""

_ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(BODY)) + BODY
_NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type text/html;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 '{body}'; }}
    }}
}}
"""


@contextmanager
def serving(folder: Path) -> Iterator[Process]:
    """Serve `BODY` under every path to the end of the block. Raises ProcessError."""
    port, nginx = free_port(), find_program("nginx")
    if nginx is None:
        command = [sys.executable, "-m", "benchmarks.target", str(port)]
        with running("uvloop server", command, port, folder) as process:
            yield process
        return
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    text = _NGINX.format(user=user, folder=folder, port=port, body=BODY.decode().strip())
    configuration.write_text(text, "utf-8")
    command = [str(nginx), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    with running("nginx", command, port, folder) as process:
        yield process


@contextmanager
def serving_tls(folder: Path) -> Iterator[Process]:
    """Serve `BODY` over TLS, by a certificate of `folder`/authority.pem. Raises ProcessError."""
    port, authority, certificate = free_port(), Authority("Benchmark"), folder / "server.pem"
    authority.write(folder / AUTHORITY)
    certificate.write_bytes(authority.certified())
    command = [sys.executable, "-m", "benchmarks.target", str(port), str(certificate)]
    with running("uvloop TLS server", command, port, folder) as process:
        yield process


class _Answerer(asyncio.Protocol):
    """Answers each request at once; requests come whole, since the probers send them in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own, which is no subclass.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)
        if b"\r\nConnection: close\r\n" in data:
            self._transport.close()


async def _serve(port: int, certificate: str | None = None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answerer, "127.0.0.1", port, backlog=4096, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
