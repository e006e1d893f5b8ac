"""What a page's address asks for beside the page itself."""

from __future__ import annotations

from flask import request

from remediator.web.incidents import MOST_ID
from remediator.web.texts import sound


def asked_text(name: str) -> str:
    """Return a text of the query; what no site's name can hold is as good as nothing."""
    text = request.args.get(name, "").strip()
    return text if sound(text, 200) else ""


def asked_number(name: str, otherwise: int) -> int:
    """Return a whole number from 1 on out of the query; `otherwise` where there is none."""
    text = request.args.get(name, "")
    return (
        max(1, min(int(text), MOST_ID)) if text.isascii() and text.isdigit() and len(text) < 12 else otherwise
    )
