"""Planned windows in which nothing is healed: `maintenance:` in sites.yml. Pure: `now` is unix seconds.

A window is written in the local time of its `timezone`. Where the clocks are changed inside it, or right at
one of its ends, it is the longer of what it can mean: an hour too much holds healing back, an hour too little
would touch what somebody works on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.faults import quoted
from core.sites import Options
from remediator.model.holds import Maintenance

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
_HOW = 'must be a time of day ("23:00") or a date with one ("2026-12-01 22:00")'


class Day(StrEnum):
    """A day of the week, Monday first, as `date.weekday()` counts."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEK = tuple(Day)


def _moment(value: Any) -> Any:
    """Read what YAML makes of a time: 23:00 without quotes is the number 1380 (minutes) to it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return f"{value // 60:02d}:{value % 60:02d}"
    if isinstance(value, str) and (_TIME.fullmatch(value) or _date_and_time(value)):
        return value
    raise ValueError(f"{_HOW} (got {quoted(value)})")


def _date_and_time(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


Moment = Annotated[str, BeforeValidator(_moment, json_schema_input_type=str)]


class MaintenanceOptions(Options):
    """A window: every week on `days` from one time of day to another, or once, from one date to another."""

    name: str = Field("maintenance", description="Shown to people.")
    days: tuple[Day, ...] = Field((), description="On which it begins; none: every day.")
    start: Moment = Field(alias="from", description='"23:00", or "2026-12-01 22:00" for once.')
    until: Moment = Field(description="The same; a time of day that is not later is the next day's.")
    timezone: str = Field("UTC", description="As in Europe/Berlin.")
    sites: tuple[str, ...] = Field((), description="With their apps; none, and no servers: everything.")
    servers: tuple[str, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"must be a time zone such as Europe/Berlin (got {quoted(value)})") from error
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> MaintenanceOptions:
        begins, ends = _date_and_time(self.start), _date_and_time(self.until)
        if (begins is None) != (ends is None):
            raise ValueError("from and until must both be times of day, or both dates with a time")
        if begins is not None and ends is not None and (ends <= begins or self.days):
            raise ValueError("until must be later than from, and days belong to times of day")
        return self

    def covers(self, site: str, server: str | None) -> bool:
        """Tell whether the window is for a site, an app of a listed one, or for its server."""
        if not self.sites and not self.servers:
            return True
        listed = any(site == name or site.startswith(f"{name}/") for name in self.sites)
        return listed or server in self.servers

    def open_until(self, now: float) -> float | None:
        """Return when the window that is open now ends; None where none is."""
        ends = [end for start, end in self._windows(now) if start <= now < end]
        return max(ends, default=None)

    def _windows(self, now: float) -> Iterator[tuple[float, float]]:
        """Yield the windows that can be open: of three days, since one may reach past midnight."""
        zone = ZoneInfo(self.timezone)
        begins, ends = _date_and_time(self.start), _date_and_time(self.until)
        if begins is not None and ends is not None:
            yield _earliest(begins, zone), _latest(ends, zone)
            return
        first, last = _time_of_day(self.start), _time_of_day(self.until)
        today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
        for back in (2, 1, 0, -1):
            day = today - timedelta(days=back)
            if self.days and _WEEK[day.weekday()] not in self.days:
                continue
            end_day: date = day if last > first else day + timedelta(days=1)
            yield (
                _earliest(datetime.combine(day, first), zone),
                _latest(datetime.combine(end_day, last), zone),
            )


def open_window(
    windows: Iterable[MaintenanceOptions], site: str, server: str | None, now: float, off: float = 0.0
) -> Maintenance | None:
    """Return the window that is open now for a site, the one that ends last.

    `off`: how far the machine's own clock is ahead of ours. A window is open where it is by either of them.
    """
    found = [
        Maintenance(window.name, until - ahead)
        for window in windows
        for ahead in dict.fromkeys((0.0, off))
        if window.covers(site, server) and (until := window.open_until(now + ahead)) is not None
    ]
    return max(found, key=lambda one: one.until, default=None)


def _time_of_day(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))


def _earliest(moment: datetime, zone: ZoneInfo) -> float:
    return min(_both(moment, zone))


def _latest(moment: datetime, zone: ZoneInfo) -> float:
    return max(_both(moment, zone))


def _both(moment: datetime, zone: ZoneInfo) -> tuple[float, float]:
    """Return both instants that a local time can mean when the clocks are changed; else twice the same."""
    first, second = (moment.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return first, second
