"""What sites.yml says of alerting: who gets mail about a site, and how patiently."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from core.durations import Duration, format_duration
from core.faults import Fault
from core.sites import Document, Options, Part, Site

# Alertmanager runs addresses through its templates and splits them at commas: neither may stand in one.
_ADDRESS = re.compile(r"[^@\s,;:<>()\[\]\"\\{}]+@[^@\s,;:<>()\[\]\"\\{}]+")

_LONGEST_SCRAPE = 120.0
"""Seconds. Prometheus looks back five minutes: two scrapes must fit, so that one may be missed."""


def _addresses(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise ValueError("must be an address or a list of addresses, such as ops@example.com")
    for item in found:
        if not _ADDRESS.fullmatch(item):
            raise ValueError(f"must be an address such as ops@example.com (got {item!r})")
    return tuple(dict.fromkeys(found))


Addresses = Annotated[
    tuple[str, ...],
    BeforeValidator(_addresses),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class MailOptions(Options):
    """Who is told about a site; the same keys stand below `defaults:`."""

    email: Addresses | None = Field(
        None, description="Who is mailed when the site is down or slow: one address or several; [] is nobody."
    )
    recovery_email: Addresses | None = Field(
        None, description="Who is mailed when it is back; as `email` where it is not set; [] is nobody."
    )


class AlertingOptions(Options):
    """How often Prometheus looks, and how patiently Alertmanager mails."""

    scrape_interval: Duration = Field(15.0, description="How often Prometheus reads the exporter.")
    group_wait: Duration = Field(
        10.0, description="How long the first mail of an outage waits for what fails with it."
    )
    group_interval: Duration = Field(
        60.0, description="How soon a mail may follow on the one before it about the same site."
    )
    repeat_interval: Duration = Field(
        4 * 3600.0, description="How often a mail about an outage that lasts is sent again."
    )

    @field_validator("scrape_interval")
    @classmethod
    def _scrape_interval_is_sane(cls, value: float) -> float:
        if not 0.1 <= value <= _LONGEST_SCRAPE:
            raise ValueError(f"must be from 100ms to 2m (got {format_duration(value)})")
        return value

    @field_validator("group_interval", "repeat_interval")
    @classmethod
    def _is_not_zero(cls, value: float) -> float:
        if value < 0.001:
            raise ValueError("must be above zero")
        return value

    @model_validator(mode="after")
    def _repeats_after_the_group(self) -> "AlertingOptions":
        if self.repeat_interval < self.group_interval:
            raise ValueError(
                f"repeat_interval must not be below group_interval (got"
                f" {format_duration(self.repeat_interval)}, group_interval"
                f" {format_duration(self.group_interval)})"
            )
        return self


class AlertingTop(Options):
    """The top-level keys of sites.yml that are about alerting."""

    alerting: AlertingOptions = Field(AlertingOptions(), description="Scraping, and grouping of mails.")


@dataclass(frozen=True)
class MailTo:
    """Who is mailed: `down` while something fires, `recovered` when it has ended."""

    down: tuple[str, ...]
    recovered: tuple[str, ...]


NOBODY = MailTo((), ())


def mail_to(options: MailOptions) -> MailTo:
    """Return who is mailed; nobody where nobody is told that something is down."""
    if not options.email:
        return NOBODY
    recovered = options.email if options.recovery_email is None else options.recovery_email
    return MailTo(options.email, recovered)


def site_mail_to(site: Site) -> MailTo:
    """Return who is mailed about a site."""
    return mail_to(site.part(MailOptions))


def default_mail_to(document: Document) -> MailTo:
    """Return who is mailed about Sitemedic itself: `defaults.email`."""
    return mail_to(document.default(MailOptions))


def _check(document: Document) -> Iterator[Fault]:
    for site in document.sites:
        options = site.part(MailOptions)
        if options.recovery_email and options.email is None:
            yield document.fault(
                site, "recovery_email", "set email too, or nobody hears that the site is down"
            )


PART = Part(
    owner="alerting",
    top=AlertingTop,
    site=MailOptions,
    defaults=MailOptions,
    inherited=frozenset({"email", "recovery_email"}),
    check=_check,
)
