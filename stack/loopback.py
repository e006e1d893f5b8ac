"""HTTP to our own services on this machine: no proxy, short waits.

Raises OSError (urllib's errors are) when a service does not answer or answers with a failure.
"""

import json
import socket
import ssl
import urllib.request
from typing import Any


def _encrypting() -> ssl.SSLContext:
    """Return a context that trusts what listens on our own port: its certificate is for other names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


_direct = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_encrypting())
)


def get(url: str, timeout: float = 2.0) -> str:
    """Return the body that `url` answers with."""
    with _direct.open(url, timeout=timeout) as answer:
        return str(answer.read().decode(errors="replace"))


def get_json(url: str, timeout: float = 2.0) -> Any:
    """Return the JSON that `url` answers with. Raises ValueError when it is none."""
    return json.loads(get(url, timeout))


def post(url: str, body: Any = None, timeout: float = 10.0) -> None:
    """POST `body` as JSON to `url`, or nothing."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, headers={"Content-Type": "application/json"} if data else {}, method="POST"
    )
    with _direct.open(request, timeout=timeout):
        pass


def answers(url: str) -> bool:
    """Say whether `url` answers with success."""
    try:
        get(url)
    except (OSError, ValueError):
        return False
    return True


def listens(port: int) -> bool:
    """Say whether something accepts TCP connections on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
