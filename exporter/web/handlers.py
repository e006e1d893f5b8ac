"""What each address of the exporter answers."""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping

from aiohttp import ETag, web
from aiohttp.typedefs import Middleware

from core.faults import ConfigError
from core.logs import fields
from exporter.answers import canary_answer, probe_answer, sites_answer
from exporter.containers.page import section
from exporter.exposition import CONTENT_TYPE, gzipped, pieces, probe_text
from exporter.on_demand import ProbeRequest, RefusalError
from exporter.reload import Reloader
from exporter.service import Exporter
from exporter.shown import configuration_text
from exporter.web.badge import badge
from exporter.web.discovery import target_groups
from exporter.web.heartbeat import HeartbeatHandlers
from exporter.web.page import page
from exporter.web.places import AT_THE_ROOT, Places
from exporter.web.quick import Answer

_log = logging.getLogger(__name__)

LONGEST_BADGE = 60
"""Seconds that a badge may be kept by whoever shows it."""

_PLAIN_HEADERS = {"X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    **_PLAIN_HEADERS,
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'",
    "Cache-Control": "no-store",
}


class Handlers:
    """What each address answers."""

    def __init__(
        self,
        exporter: Exporter,
        reloader: Reloader,
        timeout_offset: float,
        places: Places = AT_THE_ROOT,
        probe_log_level: int | None = None,
    ) -> None:
        self._exporter = exporter
        self._reloader = reloader
        self._timeout_offset = timeout_offset
        self._places = places
        self._probe_log_level = probe_log_level

    def application(self, *middlewares: Middleware) -> web.Application:
        """Return them as an application."""
        app = web.Application(middlewares=middlewares)
        at, router = self._places.prefix, app.router
        router.add_get(f"{at}/", self.page)
        router.add_get(f"{at}/metrics", self.metrics, allow_head=False)
        router.add_get(f"{at}/metrics/containers", self.container_metrics, allow_head=False)
        router.add_get(f"{at}/probe", self.probe)
        router.add_get(f"{at}/logs", self.logs)
        router.add_get(f"{at}/config", self.config, allow_head=False)
        router.add_get(f"{at}/sd", self.discovery, allow_head=False)
        router.add_get(f"{at}/badge/{{name:.+}}.svg", self.badge)
        router.add_get(f"{at}/api/v1/sites", self.sites, allow_head=False)
        router.add_get(f"{at}/api/v1/canaries", self.canaries)
        router.add_get(f"{at}/api/v1/containers", self.containers)
        router.add_get(f"{at}/-/healthy", self.healthy)
        router.add_get(f"{at}/-/ready", self.ready)
        router.add_route("*", f"{at}/-/reload", self.reload)
        HeartbeatHandlers(self._exporter.heartbeats, self._exporter.called).add_to(router, at)
        if at:
            router.add_get("/", self.elsewhere)
            router.add_get(at, self.elsewhere)
        return app

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Answer with the exposition of all sites, containers, and of the exporter itself.

        `?exclude[]=containers` leaves those out, for who reads them more often from a path of their own.
        """
        return await _exposed(
            request, self._exposition("containers" in request.query.getall("exclude[]", ()))
        )

    async def container_metrics(self, request: web.Request) -> web.StreamResponse:
        """Answer with the exposition of the containers alone."""
        return await _exposed(request, self._exporter.containers.pieces())

    async def _exposition(self, without_containers: bool) -> AsyncIterator[bytes]:
        async for piece in pieces(list(self._exporter.states.values())):
            yield piece
        if not without_containers:
            async for piece in self._exporter.containers.pieces():
                yield piece
        yield self._exporter.health.text()

    async def probe(self, request: web.Request) -> web.Response:
        """Answer `/probe?site=` or `/probe?target=&module=&hostname=` with a fresh probe."""
        if "site" not in request.query:
            status, kind, body = await self.probe_of_target(request.query, request.headers)
            return web.Response(body=body, status=status, headers={"Content-Type": kind})
        wants_json = "application/json" in request.headers.get("Accept", "")
        try:
            site, result = await self._asked(request.query, request.headers).probe_site(self._exporter)
        except RefusalError as refusal:
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        return web.json_response(probe_answer(site, result)) if wants_json else _text(probe_text(result))

    async def probe_of_target(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Return what `/probe?target=` answers."""
        try:
            text = await self._asked(query, headers).probe_target(self._exporter)
        except RefusalError as refusal:
            return refusal.status, "text/plain; charset=utf-8", f"{refusal}\n".encode()
        return 200, CONTENT_TYPE, text.encode()

    def _asked(self, query: Mapping[str, str], headers: Mapping[str, str]) -> ProbeRequest:
        return ProbeRequest(query, headers, self._timeout_offset, self._probe_log_level)

    async def sites(self, request: web.Request) -> web.StreamResponse:
        """Answer with what is known of every site."""
        body = sites_answer(list(self._exporter.states.values()))
        return await _streamed(request, body, {"Content-Type": "application/json; charset=utf-8"})

    async def canaries(self, _request: web.Request) -> web.Response:
        """Answer with a fresh probe of every canary."""
        found = await self._exporter.probe_canaries()
        return web.json_response({"canaries": [canary_answer(shown, result) for shown, result in found]})

    async def containers(self, _request: web.Request) -> web.Response:
        """Answer with what is known of every watched container."""
        return web.Response(text=self._exporter.containers.answer(), content_type="application/json")

    async def healthy(self, _request: web.Request) -> web.Response:
        """Answer while the loop turns."""
        return web.Response(text="Healthy\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 while sites are being probed."""
        if not self._exporter.running:
            return web.Response(text="Not ready\n", status=503)
        return web.Response(text="Ready\n")

    async def reload(self, request: web.Request) -> web.Response:
        """Read the configuration again; 500 with every fault when it cannot be used."""
        if request.method not in ("POST", "PUT"):
            said = "This endpoint requires a POST request.\n"
            return web.Response(text=said, status=405, headers={"Allow": "POST, PUT"})
        try:
            await self._reloader.reload()
        except ConfigError as error:
            return web.Response(text=f"{error}\n", status=500)
        return web.Response(text="Reloaded\n")

    async def page(self, _request: web.Request) -> web.Response:
        """Answer with a plain page."""
        states = list(self._exporter.states.values())
        text = page(states, self._exporter.history.newest_first(), section(self._exporter.containers))
        return web.Response(text=text, content_type="text/html", headers=_PAGE_HEADERS)

    async def elsewhere(self, _request: web.Request) -> web.Response:
        """Lead to the page below the prefix."""
        return web.Response(status=302, headers={"Location": self._places.home})

    async def logs(self, request: web.Request) -> web.Response:
        """Answer with the steps of one probe of the page."""
        number = request.query.get("id", "")
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            return web.Response(text="Invalid probe id\n", status=400)
        record = self._exporter.history.record(int(number))
        if record is None:
            return web.Response(text="Probe id not found\n", status=404)
        return web.Response(text=record.text(), headers=_PLAIN_HEADERS)

    async def config(self, request: web.Request) -> web.StreamResponse:
        """Answer with the configuration as YAML, without secrets."""
        body = configuration_text(self._exporter.configuration)
        headers = {"Content-Type": "text/plain; charset=utf-8", **_PLAIN_HEADERS}
        return await _streamed(request, body, headers)

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        """Answer with the sites as Prometheus's HTTP service discovery wants them."""
        body = target_groups(self._exporter.configuration.sites)
        return await _streamed(request, body, {"Content-Type": "application/json; charset=utf-8"})

    async def badge(self, request: web.Request) -> web.Response:
        """Answer with a site's badge, to be asked for again after one of its intervals."""
        state = self._exporter.states.get(request.match_info["name"])
        if state is None:
            return web.Response(text="no such site\n", status=404, headers={"Cache-Control": "no-store"})
        text = badge(state, time.monotonic())
        tag = ETag(hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
        seconds = max(1, min(int(state.site.interval), LONGEST_BADGE))
        known = any(one.value in (tag.value, "*") for one in request.if_none_match or ())
        answer = web.Response(status=304) if known else web.Response(text=text, content_type="image/svg+xml")
        answer.headers["Cache-Control"] = f"public, max-age={seconds}, must-revalidate"
        answer.headers["Content-Security-Policy"] = "default-src 'none'"
        answer.etag = tag
        return answer


async def _exposed(request: web.Request, exposition: AsyncIterator[bytes]) -> web.StreamResponse:
    headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
    if _takes_gzip(request.headers.get("Accept-Encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return await _streamed(request, gzipped(exposition), headers)
    return await _streamed(request, exposition, headers)


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
