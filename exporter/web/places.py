"""Where the exporter is reached: `--web.external-url` and `--web.route-prefix`, as blackbox_exporter's."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.faults import quoted


@dataclass(frozen=True)
class Places:
    """What stands before every address."""

    prefix: str = ""
    """Before each of our own paths; begins with a slash and does not end with one."""
    home: str = "/"
    """Where people find the page."""


AT_THE_ROOT = Places()


def places(external_url: str | None, route_prefix: str | None) -> Places:
    """Work out both flags. Raises ValueError with the mend."""
    url = (external_url or "").strip()
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ValueError(
            f"must be a URL such as https://watch.example/exporter/ (got {quoted(external_url)})"
        )
    below = _bare(parts.path)
    prefix = below if route_prefix is None else _bare(route_prefix)
    if any(character in prefix for character in "{}?# "):
        raise ValueError(f"must be a path such as /exporter (got {quoted(route_prefix or parts.path)})")
    home = f"{parts.scheme}://{parts.netloc}{below}/" if url else f"{prefix}/"
    return Places(prefix, home)


def _bare(path: str) -> str:
    inner = path.strip("/")
    return f"/{inner}" if inner else ""
