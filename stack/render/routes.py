"""Alertmanager's routes for sites: a site and its apps in one mail, each to its own people.

A route's matchers are part of the key by which Alertmanager remembers what it has sent. So each top
site has routes of its own, and editing one site sends no mail about another a second time.
"""

import re
from collections.abc import Iterator
from typing import Any

from core.sites import Document, Site
from stack.alerting import site_mail_to
from stack.render.receivers import Receivers


def matcher(label: str, value: str, operator: str = "=") -> str:
    """Return a matcher with its value quoted, as both of Alertmanager's parsers read it."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{label}{operator}"{quoted}"'


def site_routes(document: Document, receivers: Receivers, default: str) -> Iterator[dict[str, Any]]:
    """Yield the routes of every top site whose people, or whose apps' people, are not the default ones."""
    families: dict[str, list[Site]] = {}
    for site in document.sites:
        families.setdefault(site.root, []).append(site)
    for root, members in families.items():
        yield from _family_routes(root, members, receivers, default)


def _family_routes(
    root: str, members: list[Site], receivers: Receivers, default: str
) -> Iterator[dict[str, Any]]:
    by_receiver: dict[str, list[str]] = {}
    for site in members:
        by_receiver.setdefault(receivers.of(site_mail_to(site)), []).append(site.name)
    main = next(iter(by_receiver))  # the top site's own: it stands first
    part_of = matcher("part_of", root)
    for receiver, names in by_receiver.items():
        if receiver != main:
            pattern = "|".join(re.escape(name) for name in names)
            yield {"receiver": receiver, "matchers": [part_of, matcher("site", pattern, "=~")]}
    if main != default:
        yield {"receiver": main, "matchers": [part_of]}
