"""Which proxy a request goes through: the module's, or the environment's, as Go's httpproxy settles it.

A module's `proxy_url` without `no_proxy` is for every host. With `no_proxy`, and for the environment's
proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, also in small letters), localhost and loopback addresses are
reached directly, and so is what `no_proxy` names: a domain (with all below it), `.domain` (what is below it
alone), an address, a network, each with `:port` where that counts; `*` is everything.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from exporter.networks import Network
from exporter.probers.http_options import HTTPOptions
from exporter.target import WebTarget


@dataclass(frozen=True, slots=True)
class _Direct:
    """One entry of `no_proxy`."""

    host: str = ""
    """An address, or a domain."""
    port: str = ""
    below: bool = False
    """Only what is below the domain."""
    network: Network | None = None

    def means(self, host: str, port: str) -> bool:
        if self.network is not None:
            address = _address(host)
            return address is not None and address.version == self.network.version and address in self.network
        if self.port not in ("", port):
            return False
        address = _address(host)
        if address is not None:
            return str(address) == self.host and not self.below
        return host.endswith(f".{self.host}") or (host == self.host and not self.below)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies for http and https, empty where there is none, and what is reached without them."""

    http: str
    https: str
    no_proxy: str

    def of(self, web: WebTarget) -> str:
        """Return the proxy for a request, empty for none."""
        proxy = self.https if web.scheme == "https" else self.http
        return "" if not proxy or _is_direct(self.no_proxy, web.host, web.port) else proxy


def proxy_of(options: HTTPOptions, web: WebTarget) -> str:
    """Return the proxy that a request goes through, empty where it goes directly."""
    if options.proxy_from_environment:
        return environments_proxies().of(web)
    if options.proxy_url and options.no_proxy and _is_direct(options.no_proxy, web.host, web.port):
        return ""
    return options.proxy_url


@lru_cache(maxsize=1)
def environments_proxies() -> Proxies:
    """Return the environment's proxies, read once."""
    return proxies_of(os.environ)


def proxies_of(environ: Mapping[str, str]) -> Proxies:
    """Return the proxies that an environment names."""
    http, https, no_proxy = (
        environ.get(name) or environ.get(name.lower()) or ""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    )
    if environ.get("REQUEST_METHOD"):
        http = ""  # in a CGI program, HTTP_PROXY is whatever a client says
    return Proxies(_with_scheme(http), _with_scheme(https), no_proxy)


def _with_scheme(proxy: str) -> str:
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=20_000)
def _is_direct(no_proxy: str, host: str, port: int) -> bool:
    if host == "localhost":
        return True
    address = _address(host)
    if address is not None and address.is_loopback:
        return True
    entries = _entries(no_proxy)
    return entries is None or any(entry.means(host, str(port)) for entry in entries)


@lru_cache(maxsize=1000)
def _entries(no_proxy: str) -> tuple[_Direct, ...] | None:
    """Read `no_proxy`; None: everything."""
    texts = [text for text in (piece.strip().lower() for piece in no_proxy.split(",")) if text]
    if "*" in texts:
        return None
    return tuple(entry for text in texts if (entry := _entry(text)) is not None)


def _entry(text: str) -> _Direct | None:
    if "/" in text:
        try:
            return _Direct(network=ip_network(text, strict=False))
        except ValueError:
            return _Direct(text)
    host, port = text, ""
    if _address(text) is None:
        before, colon, behind = text.rpartition(":")
        if colon:
            host, port = before, behind
    host = host.removeprefix("[").removesuffix("]").removeprefix("*")
    below, host = host.startswith("."), host.removeprefix(".")
    return _Direct(str(_address(host) or host), port, below) if host else None


@lru_cache(maxsize=20_000)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
