"""The exporter over HTTP."""

import html
import logging
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from core import VERSION
from core.faults import ConfigError
from core.logs import fields
from exporter.answers import canary_answer, probe_answer, sites_answer
from exporter.exposition import CONTENT_TYPE, gzipped, pieces, probe_text
from exporter.on_demand import ProbeRequest, RefusalError
from exporter.reload import Reloader
from exporter.service import Exporter
from exporter.state import SiteState

_log = logging.getLogger(__name__)

_SHOWN = 500


class Handlers:
    """What each address answers."""

    def __init__(self, exporter: Exporter, reloader: Reloader, timeout_offset: float) -> None:
        self._exporter = exporter
        self._reloader = reloader
        self._timeout_offset = timeout_offset

    def application(self) -> web.Application:
        """Return them as an application."""
        app = web.Application()
        app.router.add_get("/", self.page)
        app.router.add_get("/metrics", self.metrics, allow_head=False)
        app.router.add_get("/probe", self.probe)
        app.router.add_get("/api/v1/sites", self.sites, allow_head=False)
        app.router.add_get("/api/v1/canaries", self.canaries)
        app.router.add_get("/-/healthy", self.healthy)
        app.router.add_get("/-/ready", self.ready)
        app.router.add_post("/-/reload", self.reload)
        app.router.add_put("/-/reload", self.reload)
        return app

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Answer with the exposition of all sites and of the exporter itself."""
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if _takes_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return await _streamed(request, gzipped(self._exposition()), headers)
        return await _streamed(request, self._exposition(), headers)

    async def _exposition(self) -> AsyncIterator[bytes]:
        async for piece in pieces(list(self._exporter.states.values())):
            yield piece
        yield self._exporter.health.text()

    async def probe(self, request: web.Request) -> web.Response:
        """Answer `/probe?site=` or `/probe?target=&module=&hostname=` with a fresh probe."""
        wanted = ProbeRequest(request.query, request.headers, self._timeout_offset)
        wants_json = "application/json" in request.headers.get("Accept", "")
        try:
            if "site" not in request.query:
                return _text(await wanted.probe_target(self._exporter))
            site, result = await wanted.probe_site(self._exporter)
        except RefusalError as refusal:
            if "site" in request.query:
                return web.json_response({"error": str(refusal)}, status=refusal.status)
            return web.Response(text=f"{refusal}\n", status=refusal.status)
        return web.json_response(probe_answer(site, result)) if wants_json else _text(probe_text(result))

    async def sites(self, request: web.Request) -> web.StreamResponse:
        """Answer with what is known of every site."""
        body = sites_answer(list(self._exporter.states.values()))
        return await _streamed(request, body, {"Content-Type": "application/json; charset=utf-8"})

    async def canaries(self, _request: web.Request) -> web.Response:
        """Answer with a fresh probe of every canary."""
        found = await self._exporter.probe_canaries()
        return web.json_response({"canaries": [canary_answer(shown, result) for shown, result in found]})

    async def healthy(self, _request: web.Request) -> web.Response:
        """Answer while the loop turns."""
        return web.Response(text="Healthy\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 while sites are being probed."""
        if not self._exporter.running:
            return web.Response(text="Not ready\n", status=503)
        return web.Response(text="Ready\n")

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the configuration again; 500 with every fault when it cannot be used."""
        try:
            await self._reloader.reload()
        except ConfigError as error:
            return web.Response(text=f"{error}\n", status=500)
        return web.Response(text="Reloaded\n")

    async def page(self, _request: web.Request) -> web.Response:
        """Answer with a plain page."""
        states = list(self._exporter.states.values())
        rows = "".join(_row(state) for state in states[:_SHOWN])
        more = f"<p>{len(states) - _SHOWN} more in /api/v1/sites</p>" if len(states) > _SHOWN else ""
        text = _PAGE.format(version=html.escape(VERSION), rows=rows, more=more)
        return web.Response(text=text, content_type="text/html")


def _row(state: SiteState) -> str:
    last = state.last
    outcome = "not probed yet" if last is None else "ok" if last.success else f"{last.reason}: {last.detail}"
    cells = (state.site.name, state.site.instance, outcome)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>\n"


async def _streamed(
    request: web.Request, body: AsyncIterator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send `body` piece by piece; who hangs up gets no more of it."""
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        async for piece in body:
            await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        _log.debug("the asker hung up", extra=fields(path=request.path))
    return response


def _text(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _takes_gzip(accepted: str) -> bool:
    for entry in accepted.lower().split(","):
        name, _, quality = entry.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sitemedic exporter</title></head>
<body><h1>Sitemedic exporter {version}</h1>
<p><a href="/metrics">Metrics</a> · <a href="/api/v1/sites">Sites as JSON</a> ·
<a href="/-/ready">Ready</a></p>
<table><thead><tr><th>Site</th><th>Address</th><th>Last probe</th></tr></thead>
<tbody>
{rows}</tbody></table>{more}
</body></html>
"""
