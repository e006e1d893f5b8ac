"""A badge of one site: its name, and whether it is up with its uptime since the exporter started."""

import html

from exporter.state import SiteState

GOOD, BAD, UNKNOWN, STALE = "#2e7d32", "#c62828", "#616161", "#8d6e00"

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{title}">'
    "<title>{title}</title>"
    '<rect width="{left}" height="20" fill="#444"/>'
    '<rect x="{left}" width="{right}" height="20" fill="{color}"/>'
    '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
    '<text x="{middle_left}" y="14">{name}</text><text x="{middle_right}" y="14">{word}</text></g></svg>\n'
)
_LONGEST_NAME = 40


def badge(state: SiteState, now: float) -> str:
    """Return the badge of a site as SVG; `now` is monotonic."""
    word, color = _says(state, now)
    name = state.site.name
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    left, right = _width(shown), _width(word)
    return _SVG.format(
        width=left + right,
        left=left,
        right=right,
        middle_left=left / 2,
        middle_right=left + right / 2,
        color=color,
        name=html.escape(shown),
        word=html.escape(word),
        title=html.escape(f"{name}: {word}"),
    )


def uptime(state: SiteState) -> str:
    """Return the share of successful probes since the start, never rounded up to a whole 100 %."""
    if not state.probes:
        return ""
    thousandths = state.successes * 100_000 // state.probes
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".") + " %"


def _says(state: SiteState, now: float) -> tuple[str, str]:
    if state.last is None:
        return "unknown", UNKNOWN
    if state.is_stale(now):
        return f"stale · {uptime(state)}", STALE
    return (f"up · {uptime(state)}", GOOD) if state.last.success else (f"down · {uptime(state)}", BAD)


def _width(text: str) -> int:
    return 12 + 7 * len(text)
