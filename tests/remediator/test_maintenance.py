"""Maintenance windows: midnight, changed clocks, whole days, once, and for whom."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.configuration.maintenance import MaintenanceOptions, open_window

BERLIN, SYDNEY = "Europe/Berlin", "Australia/Sydney"


def window(start: str, until: str, **more: Any) -> MaintenanceOptions:
    return MaintenanceOptions.model_validate({"from": start, "until": until, **more})


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def ends(found: float | None) -> str | None:
    return None if found is None else f"{datetime.fromtimestamp(found, UTC):%Y-%m-%d %H:%M}"


# Berlin: 2026-03-29 02:00 becomes 03:00 (01:00 UTC); 2026-10-25 03:00 becomes 02:00 again (01:00 UTC).
# Sydney: 2026-10-04 02:00 becomes 03:00, 2026-04-05 03:00 becomes 02:00 (both 16:00 UTC the day before).
TABLE = [
    # plain, in UTC
    ("10:00", "12:00", {}, "2026-06-10 09:59:59", None),
    ("10:00", "12:00", {}, "2026-06-10 10:00", "2026-06-10 12:00"),
    ("10:00", "12:00", {}, "2026-06-10 11:59:59", "2026-06-10 12:00"),
    ("10:00", "12:00", {}, "2026-06-10 12:00", None),
    # across midnight: the day is that of its beginning
    ("23:00", "01:00", {"days": ["sun"]}, "2026-06-14 22:59", None),
    ("23:00", "01:00", {"days": ["sun"]}, "2026-06-14 23:30", "2026-06-15 01:00"),
    ("23:00", "01:00", {"days": ["sun"]}, "2026-06-15 00:59", "2026-06-15 01:00"),
    ("23:00", "01:00", {"days": ["sun"]}, "2026-06-15 01:00", None),
    ("23:00", "01:00", {"days": ["sun"]}, "2026-06-14 00:30", None),
    ("23:00", "01:00", {"days": ["sun", "mon"]}, "2026-06-15 23:30", "2026-06-16 01:00"),
    # whole days: an end that is not later is the next day's
    ("00:00", "00:00", {"days": ["sat"]}, "2026-06-13 00:00", "2026-06-14 00:00"),
    ("00:00", "00:00", {"days": ["sat"]}, "2026-06-13 23:59", "2026-06-14 00:00"),
    ("00:00", "00:00", {"days": ["sat"]}, "2026-06-14 00:00", None),
    ("00:00", "00:00", {"days": ["sat"]}, "2026-06-12 23:59", None),
    ("12:00", "12:00", {"days": ["sat"]}, "2026-06-14 11:59", "2026-06-14 12:00"),
    # the zone's day, not UTC's
    ("00:00", "04:00", {"days": ["mon"], "timezone": BERLIN}, "2026-06-14 22:30", "2026-06-15 02:00"),
    ("00:00", "04:00", {"days": ["mon"], "timezone": SYDNEY}, "2026-06-14 14:30", "2026-06-14 18:00"),
    (
        "22:00",
        "23:00",
        {"days": ["sun"], "timezone": "America/New_York"},
        "2026-06-15 02:30",
        "2026-06-15 03:00",
    ),
    # Berlin, the hour that there is not: a window across it is an hour shorter, one inside it is not lost
    ("01:00", "04:00", {"timezone": BERLIN}, "2026-03-29 00:00", "2026-03-29 02:00"),
    ("01:00", "04:00", {"timezone": BERLIN}, "2026-03-29 01:59", "2026-03-29 02:00"),
    ("01:00", "04:00", {"timezone": BERLIN}, "2026-03-29 02:00", None),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-03-29 01:00", "2026-03-29 01:45"),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-03-29 01:44", "2026-03-29 01:45"),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-03-29 01:45", None),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-03-30 00:15", "2026-03-30 00:45"),
    ("01:30", "02:30", {"timezone": BERLIN}, "2026-03-29 01:29", "2026-03-29 01:30"),
    # Berlin, the hour that there is twice: a window in it holds through both
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-10-25 00:14", None),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-10-25 00:15", "2026-10-25 01:45"),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-10-25 01:00", "2026-10-25 01:45"),
    ("02:15", "02:45", {"timezone": BERLIN}, "2026-10-25 01:45", None),
    ("23:00", "03:30", {"days": ["sat"], "timezone": BERLIN}, "2026-10-25 02:29", "2026-10-25 02:30"),
    ("00:00", "00:00", {"days": ["sun"], "timezone": BERLIN}, "2026-10-25 22:59", "2026-10-25 23:00"),
    # Sydney, where both come in the other half of the year
    ("02:15", "02:45", {"timezone": SYDNEY}, "2026-10-03 16:30", "2026-10-03 16:45"),
    ("02:15", "02:45", {"timezone": SYDNEY}, "2026-10-03 16:45", None),
    ("01:00", "04:00", {"timezone": SYDNEY}, "2026-10-03 16:59", "2026-10-03 17:00"),
    ("01:00", "04:00", {"timezone": SYDNEY}, "2026-10-03 17:00", None),
    ("02:15", "02:45", {"timezone": SYDNEY}, "2026-04-04 15:15", "2026-04-04 16:45"),
    ("02:15", "02:45", {"timezone": SYDNEY}, "2026-04-04 16:30", "2026-04-04 16:45"),
    ("02:15", "02:45", {"timezone": SYDNEY}, "2026-04-04 16:45", None),
    # a zone that changes by half an hour, and one that is 14 hours ahead
    ("01:45", "02:15", {"timezone": "Australia/Lord_Howe"}, "2026-04-04 15:30", "2026-04-04 15:45"),
    (
        "00:00",
        "01:00",
        {"days": ["mon"], "timezone": "Pacific/Kiritimati"},
        "2026-06-14 10:30",
        "2026-06-14 11:00",
    ),
    # once
    ("2026-12-01 22:00", "2026-12-02 02:00", {}, "2026-12-01 21:59", None),
    ("2026-12-01 22:00", "2026-12-02 02:00", {}, "2026-12-02 01:59", "2026-12-02 02:00"),
    ("2026-12-01 22:00", "2026-12-02 02:00", {}, "2026-12-02 02:00", None),
    ("2026-12-01 22:00", "2026-12-02 02:00", {"timezone": BERLIN}, "2026-12-01 21:00", "2026-12-02 01:00"),
    ("2026-10-25 01:30", "2026-10-25 02:30", {"timezone": BERLIN}, "2026-10-25 01:29", "2026-10-25 01:30"),
    ("2026-10-25 02:10", "2026-10-25 02:20", {"timezone": BERLIN}, "2026-10-25 00:30", "2026-10-25 01:20"),
    ("2026-03-29 02:10", "2026-03-29 02:20", {"timezone": BERLIN}, "2026-03-29 01:10", "2026-03-29 01:20"),
]


@pytest.mark.parametrize(("start", "until", "more", "now", "expected"), TABLE)
def test_a_window_is_open_when_its_words_say_so(
    start: str, until: str, more: dict[str, Any], now: str, expected: str | None
) -> None:
    assert ends(window(start, until, **more).open_until(utc(now))) == expected


@pytest.mark.parametrize(
    ("listed", "site", "server", "covered"),
    [
        ({}, "www", None, True),
        ({}, "www", "web", True),
        ({"sites": ["www"]}, "www", None, True),
        ({"sites": ["www"]}, "www/api", "db", True),
        ({"sites": ["www"]}, "www/api/deep", None, True),
        ({"sites": ["www"]}, "www2", None, False),
        ({"sites": ["www/api"]}, "www", None, False),
        ({"servers": ["web"]}, "www", "web", True),
        ({"servers": ["web"]}, "www", "db", False),
        ({"servers": ["web"]}, "www", None, False),
        ({"sites": ["shop"], "servers": ["web"]}, "www", "web", True),
        ({"sites": ["shop"], "servers": ["web"]}, "shop", "db", True),
        ({"sites": ["shop"], "servers": ["web"]}, "blog", "db", False),
    ],
)
def test_a_window_is_for_what_it_lists_and_for_everything_where_it_lists_nothing(
    listed: dict[str, Any], site: str, server: str | None, covered: bool
) -> None:
    found = open_window([window("10:00", "12:00", **listed)], site, server, utc("2026-06-10 11:00"))
    assert (found is not None) is covered


def test_of_several_open_windows_the_one_that_ends_last_counts() -> None:
    every = [window("10:00", "12:00", name="short"), window("11:00", "15:00", name="long")]
    found = open_window(every, "www", None, utc("2026-06-10 11:30"))
    assert found is not None
    assert (found.name, ends(found.until)) == ("long", "2026-06-10 15:00")
    assert open_window(every, "www", None, utc("2026-06-10 16:00")) is None
    assert open_window([], "www", None, utc("2026-06-10 11:30")) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"from": "25:00", "until": "01:00"}, "must be a time of day"),
        ({"from": "10:00", "until": "2026-12-02 02:00"}, "both"),
        ({"from": "2026-12-02 02:00", "until": "2026-12-01 02:00"}, "later"),
        ({"from": "2026-12-01 02:00", "until": "2026-12-02 02:00", "days": ["mon"]}, "days"),
        ({"from": "10:00", "until": "12:00", "timezone": "Europe/Atlantis"}, "time zone"),
        ({"from": "10:00", "until": "12:00", "days": ["funday"]}, "mon"),
        ({"from": True, "until": "12:00"}, "must be a time of day"),
        ({"from": "2026-02-30 10:00", "until": "2026-03-01 10:00"}, "must be a time of day"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_with_the_mend(value: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        MaintenanceOptions.model_validate(value)


def test_what_yaml_makes_of_a_time_without_quotes_is_the_time() -> None:
    found = MaintenanceOptions.model_validate({"from": 1380, "until": 60})
    assert (found.start, found.until) == ("23:00", "01:00")
    once = MaintenanceOptions.model_validate(
        {
            "from": datetime.fromisoformat("2026-12-01 22:00"),
            "until": datetime.fromisoformat("2026-12-02 02:00"),
        }
    )
    assert once.open_until(utc("2026-12-02 01:00")) == utc("2026-12-02 02:00")


ZONES = st.sampled_from(
    ["UTC", BERLIN, SYDNEY, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
)
YEAR = st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01"))
TIMES = st.times().map(lambda one: f"{one:%H:%M}")


@settings(max_examples=40, deadline=None)
@given(TIMES, TIMES, ZONES, YEAR)
def test_a_window_holds_whenever_the_clock_on_the_wall_is_inside_it_and_an_hour_more_at_most(
    start: str, until: str, zone: str, near: datetime
) -> None:
    """Minute by minute through a day, against the plainest reading: what does the clock on the wall say?"""
    found = window(start, until, timezone=zone)
    first = near.replace(tzinfo=UTC, second=0, microsecond=0)
    lenient = 0
    for step in range(0, 24 * 60, 7):
        moment = first + timedelta(minutes=step)
        wall = f"{moment.astimezone(ZoneInfo(zone)):%H:%M}"
        inside = start <= wall < until if start < until else wall >= start or wall < until
        open_now = found.open_until(moment.timestamp()) is not None
        assert open_now or not inside, moment
        lenient += open_now and not inside
    assert lenient * 7 <= 61 + 7


@settings(max_examples=100, deadline=None)
@given(TIMES, TIMES, ZONES, YEAR)
def test_a_window_ends_when_it_says_that_it_ends(start: str, until: str, zone: str, near: datetime) -> None:
    found = window(start, until, timezone=zone)
    now = near.replace(tzinfo=UTC).timestamp()
    end = found.open_until(now)
    if end is not None:
        assert end > now
        inside = [found.open_until(now + (end - now) * part / 10) for part in range(10)]
        assert all(one is not None and one >= end for one in inside)
        later = found.open_until(end)
        assert later is None or later > end
        assert all(a is not None and b is not None and a <= b for a, b in pairwise(inside))
