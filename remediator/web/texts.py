"""Texts that people and programs send: what is kept, and where one may be sent back to."""

from __future__ import annotations

LONGEST = 500


def sound(text: object, longest: int = LONGEST) -> bool:
    """Tell whether this is a text that a database and a page can hold: no control characters, not endless."""
    if not isinstance(text, str) or len(text) > longest:
        return False
    return not any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) <= 0xDFFF for one in text)


def local_path(wanted: str, otherwise: str = "/") -> str:
    """Return where one wanted to go where that is a page of ours, else the other."""
    if not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not sound(wanted, 2000):
        return otherwise
    if wanted.partition("?")[0] in ("/login", "/logout"):
        return otherwise
    return wanted
