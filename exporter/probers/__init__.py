"""The registry of probers: a new one is a file and a line here."""

from collections.abc import Mapping

from exporter.probers.dns import DNS
from exporter.probers.grpc import GRPC
from exporter.probers.heartbeat import HEARTBEAT
from exporter.probers.http import HTTP
from exporter.probers.icmp import ICMP
from exporter.probers.prober import Attempt, ProbeLog, Prober, Reading
from exporter.probers.tcp import TCP
from exporter.probers.unix import UNIX

PROBERS: Mapping[str, Prober] = {
    "http": HTTP,
    "tcp": TCP,
    "dns": DNS,
    "icmp": ICMP,
    "grpc": GRPC,
    "unix": UNIX,
    "heartbeat": HEARTBEAT,
}

BY_SCHEME: Mapping[str, Prober] = {scheme: prober for prober in PROBERS.values() for scheme in prober.schemes}

__all__ = ["BY_SCHEME", "PROBERS", "Attempt", "ProbeLog", "Prober", "Reading"]
