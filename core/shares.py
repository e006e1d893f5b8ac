"""Shares as people write them: `40%` or `0.4`."""

from decimal import Decimal, InvalidOperation

from core.faults import quoted


def parse_share(value: object, example: str = "40% or 0.4") -> float:
    """Return the ratio from 0 to 1 that `value` means.

    Raises ValueError with the mend, after `example`, when it is not one.
    """
    text = str(value).strip()
    try:
        # Decimal, since 99.9 / 100 is 0.9990000000000001.
        ratio = Decimal(text[:-1]) / 100 if text.endswith("%") else Decimal(text)
        sound = not isinstance(value, bool) and 0 <= ratio <= 1
    except InvalidOperation:
        raise ValueError(f"must be a share such as {example} (got {quoted(value)})") from None
    if not sound:
        meant = f": write {text}%" if 1 < ratio <= 100 and not text.endswith("%") else ""
        raise ValueError(f"must be a share such as {example} (got {value!r}{meant})")
    return float(ratio)


def format_share(ratio: float) -> str:
    """Write `ratio` the way a person would: 0.999 is `99.9%`."""
    return f"{(Decimal(repr(ratio)) * 100).normalize():f}%"
