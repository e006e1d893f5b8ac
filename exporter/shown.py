"""The configuration as it may be shown: modules and sites as YAML, without secrets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import yaml

from core.secrets import MASK
from exporter.configuration import Configuration
from exporter.module import Module
from exporter.target import instance

_AT_ONCE = 50
_TELLING = re.compile(
    r"authorization|cookie|token|secret|password|passwd|credential|api-?key|signature", re.IGNORECASE
)
"""Names of headers and parameters whose values are not shown."""
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]*@")
_FREE = ("headers", "proxy_connect_header", "url_params", "endpoint_params")
"""Keys whose own keys a user chooses."""


def module_text(module: Module) -> str:
    """Return one module as YAML."""
    return _yaml(_plain(module))


async def configuration_text(configuration: Configuration) -> AsyncIterator[bytes]:
    """Yield the configuration as YAML, giving the loop back after some of it."""
    modules = {name: _plain(module) for name, module in configuration.modules.items()}
    yield _yaml({"modules": modules}).encode()
    if configuration.allowed is None:
        return
    if configuration.canaries:
        yield _yaml({"canaries": [instance(canary) for canary in configuration.canaries]}).encode()
    yield b"sites:\n" if configuration.sites else b"sites: []\n"
    for start in range(0, len(configuration.sites), _AT_ONCE):
        lines = [
            json.dumps(
                {
                    "name": site.name,
                    "url": site.instance,
                    "prober": site.module.prober,
                    "interval": f"{site.interval:g}s",
                    "timeout": f"{site.timeout:g}s",
                },
                ensure_ascii=False,
            )
            for site in configuration.sites[start : start + _AT_ONCE]
        ]
        yield "".join(f"    - {line}\n" for line in lines).encode()
        await asyncio.sleep(0)


def _plain(module: Module) -> dict[str, Any]:
    shown = module.model_dump(mode="json", by_alias=True, exclude_unset=True)
    masked = _masked({"prober": module.prober, **shown})
    assert isinstance(masked, dict)
    return masked


def _says(value: Any) -> bool:
    """Say whether anything is set in it: the options of other probers are empty mappings."""
    return any(_says(inner) for inner in value.values()) if isinstance(value, dict) else True


def _masked(value: Any, key: str = "", *, free: bool = False) -> Any:
    """Return plain data without userinfo in URLs and without the headers and parameters that tell secrets."""
    if isinstance(value, dict):
        return {
            name: _masked(inner, name, free=free or key in _FREE)
            for name, inner in value.items()
            if _says(inner)
        }
    if isinstance(value, list):
        return [_masked(inner, key, free=free) for inner in value]
    if not isinstance(value, str):
        return value
    if free and _TELLING.search(key):
        return MASK
    return _USERINFO.sub(f"{MASK}@", value)


def _yaml(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_DUMPER, indent=4, sort_keys=False, allow_unicode=True)
    return text


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
