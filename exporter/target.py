"""Targets: URLs and host:port pairs, read by libcurl's own parser so that both mean the same.

TargetError        not a target that can be probed; the message says the mend, without credentials
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

import idna
import pycurl

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class TargetError(ValueError):
    """Not a target that can be probed; the message says the mend, without credentials."""


@dataclass(frozen=True, slots=True)
class WebTarget:
    """A URL taken apart. `url` holds neither credentials nor a fragment."""

    url: str
    scheme: str
    host: str
    """In ASCII (punycode), an IPv6 address without its brackets."""
    port: int
    path: str
    """The path with its query."""
    username: str | None
    password: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return scheme, host and port."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class HostTarget:
    """A host and a port, with TLS or without."""

    host: str
    port: int
    tls: bool


def parse_web_target(target: str) -> WebTarget:
    """Take a URL apart; without a scheme it is http, as blackbox_exporter has it. Raises TargetError."""
    url = _parse(target if _SCHEME.match(target) else f"http://{target}", target)
    scheme = url.scheme
    if scheme not in _DEFAULT_PORTS:
        raise TargetError(f"{_shown(target)!r} must begin with http:// or https://")
    port = int(url.port) if url.port else _DEFAULT_PORTS[scheme]
    host = _host(url)
    path = url.path + (f"?{url.query}" if url.query else "")
    shown = f"[{host.replace('%', '%25')}]" if ":" in host else host
    at = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
    return WebTarget(
        f"{scheme}://{at}{path}",
        scheme,
        host,
        port,
        path,
        _decoded(url, pycurl.UPART_USER),
        _decoded(url, pycurl.UPART_PASSWORD),
    )


def parse_host_target(target: str) -> HostTarget:
    """Read `host:port`, `tcp://host:port` or `tls://host:port`. Raises TargetError."""
    scheme, separator, rest = target.rpartition("://")
    if separator and scheme.lower() not in ("tcp", "tls"):
        raise TargetError(f"{_shown(target)!r} must be host:port, tcp://host:port or tls://host:port")
    url = _parse(f"tcp://{rest}", target)
    if url.path.strip("/") or url.query or url.user:
        raise TargetError(f"{_shown(target)!r} must be a host and a port, nothing more")
    if not url.port:
        raise TargetError(f"{_shown(target)!r} lacks a port: write host:port")
    return HostTarget(_host(url), int(url.port), scheme.lower() == "tls")


@lru_cache(maxsize=20_000)
def instance(target: str) -> str:
    """Return the target as it may be shown: without credentials, query and fragment."""
    return _shown(target)


def _shown(target: str) -> str:
    bare = re.split(r"[?#]", target, maxsplit=1)[0]
    match = _SCHEME.match(bare)
    start = match.end() if match else 0
    authority, slash, path = bare[start:].partition("/")
    behind = target[start + len(authority) :]
    doubtful = not authority or ":" in authority or "@" in authority
    if "@" in behind and doubtful and not _is_host(authority.rpartition("@")[2]):
        # A slash, ? or # inside an unquoted password: what stands before the last @ may be secret.
        authority, slash, path = re.split(r"[?#]", behind.rpartition("@")[2], maxsplit=1)[0], "", ""
    return bare[:start] + authority.rpartition("@")[2] + slash + path


def _is_host(authority: str) -> bool:
    return re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:@\s]+)(:\d{1,5})?", authority) is not None


def _parse(url: str, target: str) -> "pycurl.CurlUrl":
    if _FORBIDDEN.search(url):
        raise TargetError(f"{_shown(target)!r} holds a blank, a control character or a backslash")
    if ":///" in url:
        raise TargetError(f"{_shown(target)!r} lacks a host")
    try:
        return pycurl.CurlUrl(_ascii(url), pycurl.U_NON_SUPPORT_SCHEME)
    except (pycurl.error, UnicodeError) as error:
        raise TargetError(f"{_shown(target)!r} is not a URL ({_cause(error)})") from None


def _ascii(url: str) -> str:
    """Write a URL's letters beyond ASCII as browsers do: the host in punycode, the rest in percent signs."""
    if url.isascii():
        return url
    scheme, _, rest = url.partition("://")
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    credentials, at, host = rest[:end].rpartition("@")
    name, colon, port = host.partition(":")
    name = idna.encode(name, uts46=True).decode("ascii")
    quoted = [quote(piece, safe="!#$%&'()*+,/:;=?@[]~") for piece in (credentials, rest[end:])]
    return f"{scheme}://{quoted[0]}{at}{name}{colon}{port}{quoted[1]}"


def _host(url: "pycurl.CurlUrl") -> str:
    host: str = url.host.strip("[]").lower()
    return f"{host}%{url.zoneid}" if url.zoneid else host


def _decoded(url: "pycurl.CurlUrl", part: int) -> str | None:
    try:
        value: str | None = url.getpart(part, pycurl.U_URLDECODE)
    except pycurl.error:
        return None
    return value


def _cause(error: Exception) -> str:
    return str(error.args[-1]).lower() if error.args else "not understood"
