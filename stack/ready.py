"""Ask a service of this same machine whether it is ready: docker-compose.yml's health checks.

    python -IS stack/ready.py PORT

Imports as little as can be: it is run every few seconds, and so costs 20 ms of CPU, with urllib 150.
"""

import socket
import sys

_SECONDS = 3.0


def ready(port: int) -> bool:
    """Say whether `/-/ready` is answered 200, with TLS where it is not without."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            if (status := _status(connection)) is not None:
                return status == b"200"
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # TLS hung up: it was no handshake
    return _ready_by_tls(port)


def _status(connection: socket.socket) -> bytes | None:
    """Return the status of an answer; None where what is said is no HTTP."""
    connection.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
    said = connection.recv(16)
    return (said.split()[1:2] or [b""])[0] if said.startswith(b"HTTP/") else None


def _ready_by_tls(port: int) -> bool:
    import ssl  # most consoles speak none, and it takes its time

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), _SECONDS) as plain,
            context.wrap_socket(plain) as connection,
        ):
            return _status(connection) == b"200"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if ready(int(sys.argv[1])) else 1)
