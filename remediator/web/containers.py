"""The console's page of containers, server by server, and what other pages say of a site's container."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from remediator.model.containers import Containers, ContainerState, EngineState
from remediator.model.facts import Sites
from remediator.service import Remediator
from remediator.web.query import asked_number, asked_text

PAGE = 100
"""Containers on one page."""


def routes(remediator: Remediator) -> Blueprint:
    """Make the page of containers."""
    routes = Blueprint("containers", __name__)

    @routes.get("/containers")
    def page() -> ResponseReturnValue:
        return render_template("containers.html", **_page(remediator))

    return routes


def seen_containers(remediator: Remediator, sites: Sites | None) -> Containers:
    """Return what is known of containers, nothing where the exporter does not tell.

    Of an exporter that has just not told of its sites nobody asks again: it would cost its time-out twice.
    """
    found = remediator.gatherer.containers() if sites is not None else None
    return found or Containers()


def _page(remediator: Remediator) -> dict[str, Any]:
    sites, wanted = remediator.gatherer.sites(), asked_text("q")
    seen = seen_containers(remediator, sites)
    found = _wanted(seen, wanted)
    last = max(1, -(-len(found) // PAGE))
    page = min(asked_number("page", 1), last)
    shown = found[(page - 1) * PAGE : page * PAGE]
    silent = [one for one in seen.engines.values() if one.silent]
    return {
        "known": sites is not None,
        "total": len(seen.containers),
        "bad": sum(not one.well for one in seen.containers),
        "silent": len(silent),
        "servers": _by_server(seen, shown, [] if wanted else silent),
        "wanted": wanted,
        "page": page,
        "last_page": last,
    }


def _wanted(seen: Containers, wanted: str) -> list[ContainerState]:
    """Return those with these words in name, server, image or sites: by server, what is not well first."""
    lower = wanted.lower()
    found = (
        one
        for one in seen.containers
        if any(lower in text.lower() for text in (one.name, one.server, one.image, *one.sites))
    )
    return sorted(found, key=lambda one: (one.server, one.well, one.name))


def _by_server(
    seen: Containers, shown: Sequence[ContainerState], silent: Sequence[EngineState]
) -> list[tuple[str, EngineState | None, list[ContainerState]]]:
    """Return servers with their engine and containers; those that cannot be asked stand even without any."""
    found = {server: list(those) for server, those in groupby(shown, key=lambda one: one.server)}
    for engine in silent:
        found.setdefault(engine.server, [])
    return [(server, seen.engine(server), found[server]) for server in sorted(found)]
