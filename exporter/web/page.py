"""The plain page at `/`: the sites, and the probes made lately."""

import html
from collections.abc import Sequence
from urllib.parse import quote

from core import VERSION
from exporter.history import Record
from exporter.state import SiteState
from exporter.web.badge import uptime

MOST_SITES = 500
"""Sites that the page lists; all of them are in the JSON."""

MOST_PROBES = 1000
"""Probes that the page lists, the newest; with a higher --history.limit the others are kept all the same."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sitemedic exporter</title></head>
<body><h1>Sitemedic exporter {version}</h1>
<p><a href="metrics">Metrics</a> · <a href="config">Configuration</a> ·
<a href="api/v1/sites">Sites as JSON</a> · <a href="sd">Sites for Prometheus</a> ·
<a href="-/ready">Ready</a></p>
{sites}{containers}<h2>Recent probes</h2>
{probes}
</body></html>
"""
_SITE_TITLES = ("Site", "Address", "Last probe", "Uptime since the start", "Badge")
_PROBE_FORM = """<form action="probe"><label>Target <input name="target" required></label>
<label>Module <input name="module" value="http_2xx"></label>
<label><input type="checkbox" name="debug" value="true" checked> with its log</label>
<button>Probe</button></form>
"""


def page(states: Sequence[SiteState], records: Sequence[Record], containers: str = "") -> str:
    """Return the page, with a section of HTML. Every name and address may have been chosen by a stranger."""
    return _PAGE.format(
        version=html.escape(VERSION),
        sites=_sites(states) if states else _PROBE_FORM,
        containers=containers,
        probes=_probes(records),
    )


def _sites(states: Sequence[SiteState]) -> str:
    rows = "".join(_site(state) for state in states[:MOST_SITES])
    rest = len(states) - MOST_SITES
    more = f'<p>{rest} more in <a href="api/v1/sites">api/v1/sites</a></p>\n' if rest > 0 else ""
    head = f"<tr>{''.join(f'<th>{title}</th>' for title in _SITE_TITLES)}</tr>"
    return f"<h2>Sites</h2>\n<table>{head}\n{rows}</table>\n{more}"


def _site(state: SiteState) -> str:
    last = state.last
    outcome = "not probed yet" if last is None else "ok" if last.success else f"{last.reason}: {last.detail}"
    link = f'<a href="badge/{html.escape(quote(state.site.name))}.svg">badge</a>'
    return _row(*map(html.escape, (state.site.name, state.site.instance, outcome, uptime(state))), link)


def _probes(records: Sequence[Record]) -> str:
    rows = "".join(_probe(record) for record in records[:MOST_PROBES])
    if not rows:
        return "<p>None yet.</p>"
    return f"<table><tr><th>Module</th><th>Target</th><th>Result</th><th>Debug</th></tr>\n{rows}</table>"


def _probe(record: Record) -> str:
    result = record.result
    said = "Success" if result.success else f"<strong>Failure</strong> ({html.escape(str(result.reason))})"
    asked = record.module or f"site {record.site}"
    return _row(
        html.escape(asked), html.escape(record.target), said, f'<a href="logs?id={record.id}">Logs</a>'
    )


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
