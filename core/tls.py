"""What `ssl` is told alike by servers and by probes: versions as Prometheus calls them, keys in memory."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


@contextmanager
def in_memory(pem: bytes) -> Iterator[str]:
    """Give a file in memory with `pem`: `ssl` reads keys from files only, and none is to lie on a disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
