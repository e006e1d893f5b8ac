import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("15s", 15),
        ("1m30s", 90),
        ("2h", 7200),
        ("35d", 3024000),
        (7, 7),
        ("7", 7),
        ("1.5s", 1.5),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "-1s", "1x", "s", "1s 2m", True, -3, math.inf, math.nan])
def test_what_is_no_duration_is_refused_with_the_mend(text: str | float) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_written_duration_reads_back_as_itself(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.8, "800ms"), (1.25, "1.25s"), (90, "1m30s"), (3600, "1h")]
)
def test_a_duration_is_written_as_people_read_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
