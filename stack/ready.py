"""Ask a service of this same machine whether it is ready: docker-compose.yml's health checks.

    python -IS stack/ready.py PORT

Imports as little as can be: it is run every few seconds, and so costs 20 ms of CPU, with urllib 150.
"""

import socket
import sys

_SECONDS = 3.0


def ready(port: int) -> bool:
    """Say whether `/-/ready` is answered 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
            return connection.recv(16).split()[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if ready(int(sys.argv[1])) else 1)
