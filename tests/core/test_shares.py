import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.shares import format_share, parse_share


@pytest.mark.parametrize(
    ("text", "ratio"), [("40%", 0.4), ("0.4", 0.4), (0.4, 0.4), ("99.9%", 0.999), (" 5 % ", 0.05), (1, 1)]
)
def test_a_share_is_read_as_people_write_it(text: str | float, ratio: float) -> None:
    assert parse_share(text) == ratio


@pytest.mark.parametrize("text", ["", "%", "abc", "-1%", "101%", True, -0.1, math.nan, math.inf, None])
def test_what_is_no_share_is_refused_with_the_mend(text: object) -> None:
    with pytest.raises(ValueError, match="must be a share such as"):
        parse_share(text)


def test_who_forgets_the_percent_sign_is_told() -> None:
    with pytest.raises(ValueError, match="write 99"):
        parse_share(99.9)


@given(st.decimals(0, 100, places=6))
def test_a_share_is_written_so_that_it_is_read_again_as_it_was(percent: object) -> None:
    ratio = parse_share(f"{percent}%")
    assert parse_share(format_share(ratio)) == ratio


def test_a_share_is_written_in_percent() -> None:
    assert [format_share(ratio) for ratio in (0.999, 0.5, 1.0, 0.0)] == ["99.9%", "50%", "100%", "0%"]
