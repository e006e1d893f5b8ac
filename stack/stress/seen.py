"""What stress reads of the services, as plain values. Times are unix seconds; None: could not be asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stack.story.seen import IncidentSeen, MailSeen, SiteSeen, site_seen
from stack.story.watch import ALWAYS_FIRING

_MAIL = r'\{[^}]*integration="email"[^}]*\} (\S+)$'
_SENT = re.compile(f"^alertmanager_notifications_total{_MAIL}", re.MULTILINE)
_FAILED = re.compile(f"^alertmanager_notifications_failed_total{_MAIL}", re.MULTILINE)


@dataclass(frozen=True)
class AlertSeen:
    """An alert of Prometheus that is pending or fires; `about` is its site, or its container."""

    name: str
    about: str
    firing: bool
    summary: str

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells it from others."""
        return self.name, self.about


@dataclass(frozen=True)
class ContainerSeen:
    """What the exporter says of a container: cores and bytes; None where it does not run."""

    name: str
    state: str
    cpu: float | None
    memory: int | None
    memory_limit: int | None


@dataclass(frozen=True)
class Look:
    """Everything at one moment."""

    time: float
    sites: Mapping[str, SiteSeen] | None = None
    containers: tuple[ContainerSeen, ...] | None = None
    alerts: tuple[AlertSeen, ...] | None = None
    mails: tuple[MailSeen, ...] | None = None
    mailed: int | None = None
    """Mails that Alertmanager has sent; where there is no mailbox to look into."""
    incidents: tuple[IncidentSeen, ...] | None = None
    faults: tuple[str, ...] = field(default=())


def sites_seen(answer: Mapping[str, Any]) -> Mapping[str, SiteSeen]:
    """Read the exporter's /api/v1/sites."""
    names = [one["site"] for one in answer["sites"]]
    return {name: seen for name in names if (seen := site_seen(answer, name)) is not None}


def containers_seen(answer: Mapping[str, Any]) -> tuple[ContainerSeen, ...]:
    """Read the exporter's /api/v1/containers."""
    return tuple(
        ContainerSeen(one["name"], one["state"], one["cpu"], one["memory"], one["memory_limit"])
        for one in answer["containers"]
    )


def alerts_seen(answer: Mapping[str, Any]) -> tuple[AlertSeen, ...]:
    """Read Prometheus's /api/v1/alerts, without those that always fire."""
    found = []
    for one in answer["data"]["alerts"]:
        labels, annotations = one["labels"], one.get("annotations") or {}
        name = labels["alertname"]
        about = labels.get("name") or labels.get("site") or labels.get("server") or ""
        if name not in ALWAYS_FIRING and one["state"] in ("firing", "pending"):
            found.append(AlertSeen(name, about, one["state"] == "firing", annotations.get("summary", "")))
    return tuple(found)


def mailed_seen(metrics: str) -> int:
    """Read Alertmanager's metrics: how many mails it has sent."""
    sent, failed = (sum(map(float, pattern.findall(metrics))) for pattern in (_SENT, _FAILED))
    return round(sent - failed)
