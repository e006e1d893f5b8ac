"""The registry of probers: a new one is a file and a line here."""

from collections.abc import Mapping

from exporter.probers.http import HTTP
from exporter.probers.prober import Attempt, ProbeLog, Prober, Reading
from exporter.probers.tcp import TCP

PROBERS: Mapping[str, Prober] = {
    "http": HTTP,
    "tcp": TCP,
}

__all__ = ["PROBERS", "Attempt", "ProbeLog", "Prober", "Reading"]
