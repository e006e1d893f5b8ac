"""The public status page: off unless sites.yml has `status_page`. It tells of the sites named there, no more.

No request says which site it wants, so nobody can ask for another one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, jsonify, make_response, render_template
from flask.typing import ResponseReturnValue

from remediator.configuration.options import RemediatorTop
from remediator.model.outages import DAY, Outage, since, uptime
from remediator.model.seen import SiteState
from remediator.service import Remediator
from remediator.store import console as store_console
from remediator.store.watched import watched_since

FRESH = 10.0
"""Seconds for which one answer is given to everybody."""
WINDOWS = {"24h": DAY, "7d": 7 * DAY, "90d": 90 * DAY}


@dataclass(frozen=True)
class PublicSite:
    """What the public may know of a site; `state` is up, down or unknown, `uptime` a ratio by window.

    `watched_since` (Unix): what was before is no part of any window.
    """

    name: str
    state: str
    since: float | None
    uptime: Mapping[str, float]
    watched_since: float


@dataclass(frozen=True)
class PublicStatus:
    """The whole page."""

    title: str
    time: float
    sites: tuple[PublicSite, ...]


def routes(remediator: Remediator) -> Blueprint:
    """Make the public routes."""
    routes = Blueprint("status", __name__)
    kept = _Kept(remediator)

    @routes.get("/status")
    def page() -> ResponseReturnValue:
        return _public(
            make_response(render_template("status.html", status=_found(kept), windows=list(WINDOWS)))
        )

    @routes.get("/status.json")
    def as_json() -> ResponseReturnValue:
        found = _found(kept)
        answer = {
            "title": found.title,
            "time": _iso(found.time),
            "sites": [
                {**asdict(one), "since": _iso(one.since), "watched_since": _iso(one.watched_since)}
                for one in found.sites
            ],
        }
        return _public(jsonify(answer))

    return routes


def status_of(
    title: str,
    names: Sequence[str],
    sites: Mapping[str, SiteState] | None,
    outages: Mapping[str, Sequence[Outage]],
    watched: Mapping[str, float],
    now: float,
) -> PublicStatus:
    """Return what the public may know."""
    shown = tuple(
        _site(name, (sites or {}).get(name), outages.get(name, ()), watched.get(name, now), now)
        for name in names
    )
    return PublicStatus(title, now, shown)


def _site(
    name: str, state: SiteState | None, outages: Sequence[Outage], watched: float, now: float
) -> PublicSite:
    """An outage begins with its incident: a single failed probe is nothing to tell the public."""
    lasts = any(one.end is None for one in outages)
    known = state is not None and state.success is not None and not state.stale
    told = "down" if lasts else "up" if known else "unknown"
    shares = {name: round(uptime(outages, now, seconds, watched), 6) for name, seconds in WINDOWS.items()}
    return PublicSite(name, told, since(outages), shares, watched)


class _Kept:
    """One answer for everybody, made anew when it is too old."""

    def __init__(self, remediator: Remediator) -> None:
        self._remediator = remediator
        self._lock = threading.Lock()
        self._made = (0.0, None, None)  # type: tuple[float, object, PublicStatus | None]

    def get(self) -> PublicStatus | None:
        """Return the status; None where the page is off."""
        options = self._remediator.document().top(RemediatorTop).status_page
        if options is None:
            return None
        with self._lock:
            at, of, status = self._made
            if status is None or of is not options or time.monotonic() - at >= FRESH:
                status = self._make(options.title, options.sites)
                self._made = (time.monotonic(), options, status)
        return status

    def _make(self, title: str, names: Sequence[str]) -> PublicStatus:
        now = self._remediator.settings.now()
        with self._remediator.store.read() as connection:
            outages = store_console.outages(connection, names, now - max(WINDOWS.values()))
            watched = watched_since(connection, names)
        return status_of(title, names, self._remediator.gatherer.sites(), outages, watched, now)


def _found(kept: _Kept) -> PublicStatus:
    found = kept.get()
    if found is None:
        abort(404, "there is no public status page here: status_page in sites.yml switches it on")
    return found


def _public(answer: Response) -> Response:
    answer.headers["Cache-Control"] = f"public, max-age={FRESH:.0f}"
    return answer


def _iso(at: float | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
