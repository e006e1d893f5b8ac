"""`/sd`: the sites for Prometheus's HTTP service discovery."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from exporter.watched import WatchedSite

_AT_ONCE = 50


async def target_groups(sites: Sequence[WatchedSite]) -> AsyncIterator[bytes]:
    """Yield the JSON of all sites, one group each, giving the loop back after some of them."""
    before = "["
    for start in range(0, len(sites), _AT_ONCE):
        piece = ",\n".join(_group(site) for site in sites[start : start + _AT_ONCE])
        yield f"{before}{piece}".encode()
        before = ",\n"
        await asyncio.sleep(0)
    yield b"]" if sites else b"[]"


def _group(site: WatchedSite) -> str:
    labels = {
        "__meta_sitemedic_site": site.name,
        "__meta_sitemedic_prober": site.module.prober,
        "__meta_sitemedic_interval": f"{site.interval:g}s",
        **{f"__meta_sitemedic_{name}": value for name, value in site.info},
    }
    return json.dumps({"targets": [site.instance], "labels": labels}, ensure_ascii=False)
