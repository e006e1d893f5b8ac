"""The JSON that the exporter answers with, and writes to the results file; times in unix seconds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from exporter.result import Result
from exporter.state import Moment, SiteState
from exporter.watched import WatchedSite

_AT_ONCE = 50


def probe_answer(site: WatchedSite, result: Result) -> dict[str, Any]:
    """Return one probe's outcome."""
    phases = result.phases
    return {
        "site": site.name,
        "instance": site.instance,
        "success": result.success,
        "reason": result.reason.value if result.reason else None,
        "detail": result.detail,
        "status_code": result.status_code,
        "duration_seconds": round(result.duration, 6),
        "phases": {
            "resolve": round(phases.resolve, 6),
            "connect": round(phases.connect, 6),
            "tls": round(phases.tls, 6),
            "processing": round(phases.processing, 6),
            "transfer": round(phases.transfer, 6),
        },
        "time": round(result.time, 3),
    }


def result_line(site: WatchedSite, result: Result) -> str:
    """Return one probe's outcome as a line of the results file."""
    return json.dumps(probe_answer(site, result), ensure_ascii=False, separators=(",", ":"))


def site_answer(state: SiteState, now: float) -> dict[str, Any]:
    """Return what is known of one site; `now` is monotonic."""
    site, last = state.site, state.last
    return {
        "site": site.name,
        "instance": site.instance,
        "group": site.label("group") or None,
        "part_of": site.label("part_of"),
        "parent": site.label("parent") or None,
        "server": site.label("server") or None,
        "severity": site.label("severity"),
        "success": last.success if last else None,
        "reason": last.reason.value if last and last.reason else None,
        "detail": last.detail if last else "",
        "status_code": last.status_code if last else None,
        "duration_seconds": round(last.duration, 6) if last else None,
        "last_probe": _wall(state.probed),
        "last_success": _wall(state.succeeded),
        "failing_since": _wall(state.failing),
        "slow_since": _wall(state.slow),
        "interval_seconds": site.interval,
        "stale": state.is_stale(now),
    }


async def sites_answer(states: Sequence[SiteState]) -> AsyncIterator[bytes]:
    """Yield the JSON of all sites, giving the loop back after some of them."""
    now = time.monotonic()
    before = b'{"sites": ['
    for start in range(0, len(states), _AT_ONCE):
        piece = ", ".join(json.dumps(site_answer(state, now)) for state in states[start : start + _AT_ONCE])
        yield before + piece.encode()
        before = b", "
        await asyncio.sleep(0)
    yield b"]}" if states else before + b"]}"


def canary_answer(shown: str, result: Result) -> dict[str, Any]:
    """Return one canary's outcome; `shown` is its address without credentials."""
    return {
        "target": shown,
        "success": result.success,
        "reason": result.reason.value if result.reason else None,
        "detail": result.detail,
    }


def _wall(moment: Moment | None) -> float | None:
    return round(moment.wall, 3) if moment else None
