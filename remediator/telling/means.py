"""What everything that tells people of something works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.configuration.policy import Policy
from remediator.metrics import Metrics
from remediator.store.database import Store
from remediator.timing import Timing


@dataclass(frozen=True)
class Means:
    """The store, the way to Alertmanager, and what is said of where and when; `console` is an address."""

    store: Store
    client: AlertmanagerClient
    console: str
    policy: Callable[[], Policy]
    metrics: Metrics
    timing: Timing
    now: Callable[[], float]
