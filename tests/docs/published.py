"""The names of all metrics that the two services publish, asked of their own registries."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from exporter.containers.families import CONTAINER, SERVER
from exporter.families import FIXED, HISTORY, Family
from exporter.health import Health
from exporter.lines import RESULT
from remediator.actions import ACTIONS
from remediator.metrics import Metrics

_HISTOGRAM = ("_bucket", "_sum", "_count")


def exporter_names() -> set[str]:
    """The exporter's, as written in docs: a histogram under its own name."""
    return {family.name for family in _families()} | _registered(Health().registry)


def remediator_names() -> set[str]:
    """The remediator's, in the same way."""
    return _registered(Metrics(ACTIONS).registry)


def published_names() -> set[str]:
    """All series' names, a histogram's three included."""
    names = exporter_names() | remediator_names()
    return names | {f"{name}{end}" for name in names for end in _HISTOGRAM}


def _families() -> Iterable[Family]:
    return (*RESULT, *HISTORY, *FIXED, *CONTAINER, *SERVER)


def _registered(registry: CollectorRegistry) -> set[str]:
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
        if not family.name.startswith(("process_", "python_"))
    }
