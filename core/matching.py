"""Text that must have a form: checked by pydantic, told in words."""

import re

from pydantic import AfterValidator

from core.faults import quoted


def matching(pattern: re.Pattern[str], words: str) -> AfterValidator:
    """Return a check that the whole of a text has this form, or it `must be {words}`."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {words} (got {quoted(text)})")
        return text

    return AfterValidator(check)
