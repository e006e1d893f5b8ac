"""The text exposition of all sites, in pieces small enough that no probe waits for one."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence

from exporter.families import FAILURE
from exporter.labels import Labels
from exporter.lines import HEADERS, RESULT, failure_line, fixed_lines, history_lines, result_lines
from exporter.result import Result
from exporter.state import SiteState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

WORTH_KEEPING = 5.0
"""Seconds between a site's probes from which on its lines are rendered ahead of the scrape.

That keeps a scrape of 10,000 sites quick, but costs a sixth of a probe. Sites probed several times
between two scrapes are left to the scrape: there can be but few of them.
"""

_PIECE = 64 * 1024
"""Characters after which the loop is given back: about half a millisecond of joining and gzip."""
_STEP = 25
_AT_ONCE = 20
_NO_RESULT = ("",) * len(RESULT)
_NO_LABELS = Labels()


def ready_lines(state: SiteState) -> tuple[str, ...]:
    """Return a site's lines, one string per family, rendering what has changed since they were kept."""
    if state.lines is None or state.fixed_lines is None:
        labels = Labels(site=state.site.name, instance=state.site.instance)
        if state.fixed_lines is None:
            state.fixed_lines = fixed_lines(state, labels)
        result = result_lines(state.last, labels) if state.last else _NO_RESULT
        state.lines = (*result, *history_lines(state, labels), *state.fixed_lines)
    return state.lines


def keep_ready(state: SiteState) -> None:
    """Render a new result ahead of the scrape, unless most such lines would be thrown away unread."""
    if state.site.interval >= WORTH_KEEPING:
        ready_lines(state)


async def pieces(states: Sequence[SiteState]) -> AsyncIterator[bytes]:
    """Yield the exposition of `states` as of now, giving the loop back after each piece.

    A family's lines stand together, as the format asks; all lines of a site are of one moment.
    """
    await _prepare(states)
    blocks = [state.lines or ready_lines(state) for state in states]
    buffer: list[str] = []
    size = 0
    for index, header in enumerate(HEADERS):
        unsaid = header
        for start in range(0, len(blocks), _STEP):
            text = "".join([block[index] for block in blocks[start : start + _STEP]])
            if not text:
                continue
            buffer.append(unsaid)
            buffer.append(text)
            unsaid = ""
            size += len(text)
            if size >= _PIECE:
                yield "".join(buffer).encode()
                buffer.clear()
                size = 0
                await asyncio.sleep(0)
    yield "".join(buffer).encode()


async def _prepare(states: Sequence[SiteState]) -> None:
    """Render the lines that nobody has asked for yet, a few at a time."""
    missing = [state for state in states if state.lines is None]
    for number, state in enumerate(missing, 1):
        ready_lines(state)
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)


async def gzipped(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress `parts` as they come."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    async for part in parts:
        packed = packer.compress(part)
        if packed:
            yield packed
    yield packer.flush()


def probe_text(result: Result) -> str:
    """Return one result as /probe answers it: without labels of a site, and with its reason if it failed."""
    lines = result_lines(result, _NO_LABELS)
    told = [header + text for header, text in zip(HEADERS, lines, strict=False) if text]
    if result.reason is not None:
        told.append(FAILURE.header + failure_line(result.reason, _NO_LABELS))
    return "".join(told)
