"""The containers on the exporter's plain page."""

import html
import time

from core.durations import format_duration
from exporter.containers.service import Containers
from exporter.containers.state import ContainerState
from exporter.containers.watch import ServerWatch

MOST = 200
"""Containers that the page lists; all of them are in the JSON."""
_TITLES = ("Server", "Container", "State", "For", "Restarts", "CPU", "Memory", "Sites")


def section(containers: Containers) -> str:
    """Return it, nothing where none are watched. Every name in it may have been chosen by a stranger."""
    if not containers.watches:
        return ""
    states = list(containers.states())
    now = time.time()
    rows = "".join(_row(_cells(state, now)) for _, state in states[:MOST])
    head = _row(_TITLES, "th")
    table = f"<table>{head}\n{rows}</table>\n" if rows else "<p>None.</p>\n"
    rest = len(states) - MOST
    where = '<a href="api/v1/containers">api/v1/containers</a>'
    more = f"<p>{rest} more in {where}</p>\n" if rest > 0 else f"<p>As JSON: {where}</p>\n"
    faults = "".join(map(_fault, containers.watches.values()))
    return f"<h2>Containers</h2>\n{faults}{table}{more}"


def _fault(watch: ServerWatch) -> str:
    if watch.asking.up is not False:
        return ""
    said = html.escape(f"{watch.name}: {watch.asking.reason}: {watch.asking.message}")
    return f"<p><strong>{said}</strong></p>\n"


def _cells(state: ContainerState, now: float) -> tuple[str, ...]:
    said = f"{state.state}, {state.health}" if state.health is not None else str(state.state)
    began = state.told.started_at if state.up and state.told is not None else state.down_since
    usage = state.usage
    return (
        state.server,
        state.wanted.name,
        said,
        format_duration(max(0.0, float(int(now - began)))) if began is not None else "",
        str(state.starts.count),
        f"{state.cpu:.2f} cores" if state.cpu is not None else "",
        f"{usage.memory_working_set / 2**20:.0f} MiB" if usage is not None else "",
        ", ".join(state.wanted.sites),
    )


def _row(cells: tuple[str, ...], kind: str = "td") -> str:
    return f"<tr>{''.join(f'<{kind}>{html.escape(cell)}</{kind}>' for cell in cells)}</tr>\n"
