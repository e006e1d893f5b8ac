"""The exporter, asked over HTTP: fresh probes, canaries, and what its schedule last saw."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any

from remediator.clients.kept_http import KeptHttp
from remediator.errors import ExporterError, SiteUnknownError
from remediator.model.containers import Containers, containers_of
from remediator.model.facts import Sites
from remediator.model.seen import Canary, Probe, SiteState

MAX_ANSWER = 64 * 1024 * 1024
PAUSE_EVERY = 20
"""Sites; reading so many takes half a millisecond."""
_SITES_BEGIN = re.compile(r'\s*\{\s*"sites"\s*:\s*\[\s*')
_COMMA = re.compile(r"\s*,\s*(?=\{)")
_SITES_END = re.compile(r"\s*\]\s*\}\s*")


class ExporterClient:
    """Asks one exporter; each thread keeps its own connection. Raises ExporterError only.

    `pause` is called now and then in what takes long: there it may be waited until others are done.
    """

    def __init__(
        self,
        url: str,
        probe_timeout: float = 20.0,
        now: Callable[[], float] = time.time,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._http = KeptHttp(url)
        self._pause = pause
        self._probe_timeout = probe_timeout
        self._now = now

    def probe(self, site: str) -> Probe:
        """Probe a site now; raise SiteUnknownError where the exporter does not have it."""
        status, answer = self._get("/probe", {"site": site}, self._probe_timeout)
        if status == 404:
            raise SiteUnknownError(f"the exporter does not know {site}")
        if status != 200 or not isinstance(answer.get("success"), bool):
            raise ExporterError(f"the exporter answered {status} to a fresh probe")
        if answer.get("site") != site:
            raise ExporterError("the exporter answered about another site than it was asked for")
        return Probe(
            site=site,
            success=answer["success"],
            time=self._now(),
            reason=_text(answer.get("reason")),
            detail=_text(answer.get("detail")) or "",
            status_code=answer["status_code"] if isinstance(answer.get("status_code"), int) else None,
            duration=_number(answer.get("duration_seconds")) or 0.0,
            raw=answer,
        )

    def canaries(self) -> tuple[Canary, ...]:
        """Probe every canary now."""
        status, answer = self._get("/api/v1/canaries", {}, self._probe_timeout)
        found = answer.get("canaries")
        if status != 200 or not isinstance(found, list):
            raise ExporterError(f"the exporter answered {status} to a question for its canaries")
        return tuple(
            Canary(str(one.get("target")), one.get("success") is True, _text(one.get("detail")) or "")
            for one in found
            if isinstance(one, Mapping)
        )

    def sites(self) -> Sites:
        """Return what the schedule last saw of every site, by name."""
        status, body = self._ask("/api/v1/sites", {}, 10.0)
        if status != 200:
            raise ExporterError(f"the exporter answered {status} to a question for its sites")
        try:
            found = Sites()
            for number, one in enumerate(_one_by_one(body.decode())):
                if number % PAUSE_EVERY == 0:
                    self._pause()
                if one.get("site"):
                    state = _site(one)
                    found[state.site] = state
            return found
        except (ValueError, RecursionError) as error:
            raise ExporterError("the exporter answered something else than its sites") from error

    def containers(self) -> Containers | None:
        """Return what was last seen of containers; None of an exporter that does not watch them."""
        status, answer = self._get("/api/v1/containers", {}, 10.0)
        if status == 404:
            return None
        if status != 200:
            raise ExporterError(f"the exporter answered {status} to a question for its containers")
        try:
            return containers_of(answer)
        except (ValueError, OverflowError) as error:
            raise ExporterError("the exporter answered something else than its containers") from error

    def _get(self, path: str, query: Mapping[str, str], timeout: float) -> tuple[int, dict[str, Any]]:
        status, body = self._ask(path, query, timeout)
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ExporterError(f"the exporter gave no answer: {type(error).__name__}") from error
        return status, parsed if isinstance(parsed, dict) else {}

    def _ask(self, path: str, query: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
        try:
            status, body = self._http.get(path, dict(query), timeout, MAX_ANSWER)
        except (OSError, HTTPException, ValueError) as error:
            raise ExporterError(f"the exporter gave no answer: {type(error).__name__}") from error
        return status, body if len(body) <= MAX_ANSWER else b""


def _one_by_one(text: str) -> Iterator[dict[str, Any]]:
    """Yield the sites of `{"sites": [...]}`; raise ValueError where it is anything else.

    All at once would keep every other thread waiting while megabytes are read, a notification among them.
    """
    decoder = json.JSONDecoder()
    head = _SITES_BEGIN.match(text)
    at = head.end() if head else len(text)
    while not (end := _SITES_END.match(text, at)):
        one, at = decoder.raw_decode(text, at)
        if not isinstance(one, dict):
            raise ValueError("a site must be an object")
        yield one
        if comma := _COMMA.match(text, at):
            at = comma.end()
        elif not _SITES_END.match(text, at):
            raise ValueError("a list must end")
    if end.end() != len(text):
        raise ValueError("the answer must end with its list")


def _site(one: Mapping[str, Any]) -> SiteState:
    name = str(one["site"])
    success = one.get("success")
    return SiteState(
        site=name,
        success=success if isinstance(success, bool) else None,
        part_of=_text(one.get("part_of")) or name.partition("/")[0],
        server=_text(one.get("server")),
        group=_text(one.get("group")),
        instance=_text(one.get("instance")) or "",
        severity=_text(one.get("severity")) or "critical",
        reason=_text(one.get("reason")),
        detail=_text(one.get("detail")) or "",
        last_probe=_number(one.get("last_probe")),
        last_success=_number(one.get("last_success")),
        failing_since=_number(one.get("failing_since")) or None,
        duration=_number(one.get("duration_seconds")),
        stale=one.get("stale") is True,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
