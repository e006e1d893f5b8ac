"""Alertmanager's webhook payload, version "4", as its source has it (0.25 to 0.34).

Unknown fields are accepted: newer versions add some. Only labels that name our own sites are ever used, and
only to look the site up; nothing of an alert chooses a server, a container or a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ALERT_NAME = "SiteDown"
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
    """What an alert says of one site, and all that is taken from it; `outage` only groups what we post."""

    site: str
    firing: bool
    outage: str = ""


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
    """Return what the group says of sites, alert by alert; a site that is firing in any of them fires."""
    firing: dict[str, bool] = {}
    outages: dict[str, str] = {}
    for alert in payload.alerts:
        site = alert.labels.get("site")
        if alert.labels.get("alertname") == ALERT_NAME and site:
            firing[site] = firing.get(site, False) or alert.status == "firing"
            if alert.status == "firing":
                outages[site] = alert.labels.get("outage", "")[:LONGEST_OUTAGE]
    return [SiteAlert(site, fires, outages.get(site, "")) for site, fires in firing.items()]
