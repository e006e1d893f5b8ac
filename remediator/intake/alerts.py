"""Alertmanager's webhook payload, version "4", as its source has it (0.25 to 0.34).

Unknown fields are accepted: newer versions add some. Only labels that name our own sites are ever used, and
only to look the site up; nothing of an alert chooses a server, a container or a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remediator.model.incident import CONTAINER_DOWN, SITE_DOWN

ALERTS = (SITE_DOWN, CONTAINER_DOWN)
"""The alerts that are heard; of one site's, the earlier one here counts."""
MAX_BODY = 4 * 1024 * 1024
"""Bytes: a group of 2,000 alerts with long annotations."""
LONGEST_OUTAGE = 300
"""Characters kept of the label `outage`."""

Text = Annotated[str, Field(max_length=16_384)]
Status = Literal["firing", "resolved"]


class PayloadError(ValueError):
    """A payload of the wrong shape; the message is a reason to answer with."""


class Alert(BaseModel):
    """One alert of a group."""

    model_config = ConfigDict(frozen=True, strict=True)

    status: Status
    labels: Annotated[dict[Text, Text], Field(max_length=200)]
    annotations: Annotated[dict[Text, Text], Field(max_length=200)] = {}
    startsAt: Text = ""  # noqa: N815 - Alertmanager's name
    endsAt: Text = ""  # noqa: N815 - Alertmanager's name
    fingerprint: Text = ""


class Payload(BaseModel):
    """One notification: a whole group, firing and resolved mixed."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: Literal["4"]
    groupKey: Text  # noqa: N815 - Alertmanager's name
    status: Status
    receiver: Text
    truncatedAlerts: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0  # noqa: N815 - Alertmanager's name
    alerts: Annotated[list[Alert], Field(max_length=20_000)]


@dataclass(frozen=True)
class SiteAlert:
    """What an alert says of one site, and all that is taken from it; `outage` only groups what we post.

    `since` is when it began by Prometheus's clock (Unix time), `None` where that cannot be read.
    """

    site: str
    firing: bool
    outage: str = ""
    alert: str = SITE_DOWN
    since: float | None = None


def parse(body: bytes) -> Payload:
    """Read a payload; raise PayloadError with the first faults, never with the values given."""
    try:
        return Payload.model_validate_json(body)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(piece)[:60] for piece in fault['loc']) or 'body'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False, include_context=False)[:5]
        ]
        raise PayloadError("; ".join(faults)) from None


def site_alerts(payload: Payload) -> list[SiteAlert]:
    """Return what the group says of sites, SiteDown first; a site that is firing in any of them fires."""
    found: dict[tuple[str, str], SiteAlert] = {}
    for alert in payload.alerts:
        name, site = alert.labels.get("alertname", ""), alert.labels.get("site")
        if name not in ALERTS or not site:
            continue
        if alert.status == "firing":
            outage = alert.labels.get("outage", "")[:LONGEST_OUTAGE]
            since = _later(found.get((name, site)), _time(alert.startsAt))
            found[name, site] = SiteAlert(site, True, outage, name, since)
        else:
            found.setdefault((name, site), SiteAlert(site, False, "", name))
    return sorted(found.values(), key=lambda one: ALERTS.index(one.alert))


def _later(other: SiteAlert | None, since: float | None) -> float | None:
    """Return when the later of a site's alerts of one name began."""
    if other is None or not other.firing:
        return since
    return None if since is None or other.since is None else max(since, other.since)


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
