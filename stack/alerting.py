"""What sites.yml says of alerting: who gets mail about a site, and how patiently."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from core.durations import Duration, format_duration
from core.faults import Fault, quoted
from core.sites import Document, Options, Part, Site
from remediator.configuration.options import RemediatorSite
from remediator.configuration.schema import mode
from remediator.model.incident import Mode

# Alertmanager runs addresses through its templates and splits them at commas: neither may stand in one.
_ADDRESS = re.compile(r"[^@\s,;:<>()\[\]\"\\{}]+@[^@\s,;:<>()\[\]\"\\{}]+")

_LONGEST_SCRAPE = 120.0
"""Seconds. Prometheus looks back five minutes: two scrapes must fit, so that one may be missed."""

_REMEMBERED = 5 * 86400.0
"""Seconds. Alertmanager's --data.retention, unless it is told otherwise."""

_WAIT = "How long the first mail waits for what comes with it."
_INTERVAL = "How soon a mail may follow that says what has changed."
_REPEAT = "How often a mail about what lasts is sent again."


def _addresses(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise ValueError("must be an address or a list of addresses, such as ops@example.com")
    for item in found:
        if not _ADDRESS.fullmatch(item):
            raise ValueError(
                f"must be an address such as ops@example.com{_instead(item)} (got {quoted(item)})"
            )
    return tuple(dict.fromkeys(found))


def _instead(item: str) -> str:
    """Say how to write what people take over from a mail program."""
    if "," in item or ";" in item:
        return ", several in a list: [a@example.com, b@example.com]"
    return ", without a name" if "<" in item else ""


Addresses = Annotated[
    tuple[str, ...],
    BeforeValidator(_addresses),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Notify(StrEnum):
    """When people are told that a site is down."""

    DOWN = "down"
    HEALING_FAILED = "healing_failed"


class HealingMails(StrEnum):
    """What of the healing is mailed, beside what is down and who is needed."""

    ALL = "all"
    IMPORTANT = "important"
    NONE = "none"


class MailOptions(Options):
    """Who is told about a site; the same keys stand below `defaults:`."""

    email: Addresses | None = Field(
        None, description="Who is mailed when the site is down or slow: one address or several; [] is nobody."
    )
    recovery_email: Addresses | None = Field(
        None, description="Who is mailed when it is back; as `email` where it is not set; [] is nobody."
    )
    notify: Notify = Field(
        Notify.DOWN,
        description="down: as soon as it is down; healing_failed: only when healing has not helped.",
    )


class Times(Options):
    """How patiently Alertmanager tells of what is of one severity."""

    group_wait: Duration
    group_interval: Duration
    repeat_interval: Duration

    @field_validator("group_interval", "repeat_interval", check_fields=False)
    @classmethod
    def _is_not_zero(cls, value: float) -> float:
        if value < 0.001:
            raise ValueError("must be above zero")
        return value

    @field_validator("repeat_interval", check_fields=False)
    @classmethod
    def _is_remembered(cls, value: float) -> float:
        if value > _REMEMBERED:
            raise ValueError(
                f"must not be above {format_duration(_REMEMBERED)}: Alertmanager forgets by then what it"
                f" has sent (got {format_duration(value)})"
            )
        return value

    @model_validator(mode="after")
    def _repeats_after_the_group(self) -> "Times":
        if self.repeat_interval < self.group_interval:
            raise ValueError(
                f"repeat_interval must not be below group_interval (got"
                f" {format_duration(self.repeat_interval)}, group_interval"
                f" {format_duration(self.group_interval)})"
            )
        return self


class CriticalTimes(Times):
    """At once. The wait is longer than a scrape: what the next one finds of it is in the same mail."""

    group_wait: Duration = Field(20.0, description=_WAIT)
    group_interval: Duration = Field(60.0, description=_INTERVAL)
    repeat_interval: Duration = Field(4 * 3600.0, description=_REPEAT)


class WarningTimes(Times):
    """What can wait: several in one mail, and a mail rarely."""

    group_wait: Duration = Field(60.0, description=_WAIT)
    group_interval: Duration = Field(300.0, description=_INTERVAL)
    repeat_interval: Duration = Field(86400.0, description=_REPEAT)


class AlertingOptions(Options):
    """How often Prometheus looks, and how patiently Alertmanager tells people."""

    scrape_interval: Duration = Field(15.0, description="How often Prometheus reads the exporter.")
    critical: CriticalTimes = Field(CriticalTimes(), description="For what is critical.")
    warning: WarningTimes = Field(WarningTimes(), description="For warnings, and what is less.")
    # Sites that break together begin to fail within an interval and a timeout of each other (20 s), so
    # their alerts begin at most two evaluations of 15 s apart; the rest is for evaluating and sending.
    shared_wait: Duration = Field(
        45.0,
        description="In place of group_wait, for what breaks many at once: a server, or most of the sites.",
    )
    # Longer than a site's usual `alert.after`, two evaluations and a mail's wait: SiteDown is told first.
    container_wait: Duration = Field(
        90.0,
        description="How long the mail waits that a container is down: it may be healed, or its site fail.",
    )
    healing_time: Duration = Field(
        900.0, description="How long the mail of a site with `notify: healing_failed` waits."
    )
    healing_mails: HealingMails = Field(
        HealingMails.IMPORTANT,
        description="Mailed of healing: all; important: what asks, has failed, or is held for long; none.",
    )

    @field_validator("scrape_interval")
    @classmethod
    def _scrape_interval_is_sane(cls, value: float) -> float:
        if not 0.1 <= value <= _LONGEST_SCRAPE:
            raise ValueError(f"must be from 100ms to 2m (got {format_duration(value)})")
        return value

    @model_validator(mode="after")
    def _waits_grow(self) -> "AlertingOptions":
        waits = {
            "critical.group_wait": self.critical.group_wait,
            "shared_wait": self.shared_wait,
            "healing_time": self.healing_time,
        }
        for (shorter, least), (longer, got) in pairwise(waits.items()):
            if got < least:
                raise ValueError(
                    f"{longer} must not be below {shorter} (got {format_duration(got)},"
                    f" {shorter} {format_duration(least)})"
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


def waits_for_healing(document: Document, site: Site) -> bool:
    """Return whether people are told of an outage only once healing has had its time.

    Where nothing is healed by itself there is nothing to wait for.
    """
    wants = site.part(MailOptions).notify is Notify.HEALING_FAILED
    heals = site.part(RemediatorSite).recover is not None and mode(document, site) is Mode.AUTO
    return wants and heals


def waits_by_default(document: Document) -> bool:
    """Return whether `defaults.notify` says to wait for healing."""
    return document.default(MailOptions).notify is Notify.HEALING_FAILED


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
    inherited=frozenset({"email", "recovery_email", "notify"}),
    check=_check,
)
