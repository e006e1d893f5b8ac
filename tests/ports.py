"""Free loopback ports for servers that are told their port."""

import itertools
import os
import random
import socket

# Below the kernel's ephemeral range (32768 and up), so that no outgoing connection takes the port
# between the asking and the listening; each test process starts elsewhere.
_LOWEST, _HIGHEST = 10240, 32000
_walk = itertools.count(random.Random(os.getpid()).randrange(_HIGHEST - _LOWEST))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, a different one at each call."""
    for step in _walk:
        port = _LOWEST + step % (_HIGHEST - _LOWEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the walk has no end")
