"""Which targets /probe serves: those of the file, and what `probe_targets` adds. Against SSRF."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.faults import quoted
from exporter.networks import Network, is_private, parse_network, within
from exporter.probers import BY_SCHEME, PROBERS
from exporter.probers.prober import Barred, Place
from exporter.resolve import literal
from exporter.target import TargetError, parse_host_target, parse_web_target

_HOST_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.*?]+\]|[^\s/:@\[\]]+)(?::(\d{1,5}|\*))?")
_OF_ADDRESSES = re.compile(r"(?=.*[0-9a-f])(?:[0-9*?]+\.[0-9.*?]+|[0-9a-f*?]*:[0-9a-f:.*?]+)")
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True)
class _Pattern:
    """One entry of `probe_targets`."""

    host: str
    port: str
    scheme: str | None = None
    path: str = ""
    network: Network | None = None

    @property
    def trusted(self) -> bool:
        """Say whether the host is written out, so that it may lead to a private address too."""
        return self.network is None and _WILD.search(self.host) is None

    def allows(self, key: Place) -> bool:
        host, port, scheme, path = key
        if not host:
            return False  # a socket of this machine: no pattern of hosts means it
        if self.scheme is not None:
            same = (scheme, host, str(port)) == (self.scheme, self.host, self.port)
            return same and _is_below(path, self.path)
        if self.network is not None:
            return within(host, self.network)
        return fnmatchcase(host, self.host) and self._has(port)

    def allows_address(self, address: str, port: int) -> bool:
        """Say whether the pattern is one of addresses, and `address` is among them."""
        if self.network is not None:
            return within(address, self.network)
        of_addresses = self.scheme is None and _OF_ADDRESSES.fullmatch(self.host) is not None
        return of_addresses and fnmatchcase(address, self.host) and self._has(port)

    def is_at(self, host: str, port: int) -> bool:
        """Say whether the pattern names this host and port, whatever the path."""
        if self.scheme is not None:
            return (host, str(port)) == (self.host, self.port)
        return fnmatchcase(host, self.host) and self._has(port)

    def _has(self, port: int) -> bool:
        return self.port in ("*", str(port))


class AllowedTargets:
    """Answers whether a target may be probed on demand. Raises ValueError for a wrong pattern.

    What the file writes out (a site, a canary, a pattern without a wildcard) may be anywhere. A wildcard
    stands for public addresses only: a private one wants a pattern of addresses, also where a name that
    the wildcard allows leads to it.
    """

    def __init__(self, listed: Iterable[str], patterns: Iterable[str]) -> None:
        self._listed = frozenset(key for target in listed if (key := target_key(target)))
        self._places = frozenset((key.host, key.port) for key in self._listed if key.host)
        self._patterns = tuple(parse_pattern(pattern) for pattern in patterns)

    def allows(self, target: str, prober: str) -> bool:
        """Say whether `prober` may be pointed at `target`; what cannot be read is not allowed."""
        key = target_key(target, prober)
        if key is None:
            return False
        if self._trusts(key):
            return True
        if not any(pattern.allows(key) for pattern in self._patterns):
            return False
        return literal(key.host) is None or not self._bars(key.host, key.port)

    def barred(self, target: str, prober: str) -> Barred:
        """Return what says where a probe of this allowed target may not connect to.

        Where the target is written out, itself may be anywhere; each place that a redirect leads to is judged
        as if it had been asked for.
        """
        own = target_key(target, prober)
        trusted = own is not None and self._trusts(own)

        def bars(host: str, port: int | None, address: str) -> bool:
            if port is None or (own is not None and _is_own(own, host, port)):
                return not trusted and self._bars(address, own.port if own is not None else 0)
            return not self._is_written_out(host, port) and self._bars(address, port)

        return bars

    def _trusts(self, key: Place) -> bool:
        return key in self._listed or any(
            pattern.trusted and pattern.allows(key) for pattern in self._patterns
        )

    def _is_written_out(self, host: str, port: int) -> bool:
        return (host, port) in self._places or any(
            pattern.trusted and pattern.is_at(host, port) for pattern in self._patterns
        )

    def _bars(self, address: str, port: int) -> bool:
        return is_private(address) and not any(
            pattern.allows_address(address, port) for pattern in self._patterns
        )


def _is_own(own: Place, host: str, port: int) -> bool:
    """Say whether a redirect stays where it began, or goes on from port 80 to 443 there."""
    return host == own.host and (port == own.port or (own.port, port) == (80, 443))


def parse_pattern(text: str) -> _Pattern:
    """Read one entry of `probe_targets`.

    That is a URL prefix (`https://api.example.com/v1`), a host pattern (`*.example.com`, `10.0.0.1:22`) or a
    network (`10.0.0.0/8`). Raises ValueError with the mend.
    """
    if text.startswith(("http://", "https://")):
        web = parse_web_target(text)
        return _Pattern(web.host, str(web.port), web.scheme, web.path)
    if text.startswith("tcp://"):
        host = parse_host_target(text)
        return _Pattern(host.host, str(host.port))
    if (network := parse_network(text)) is not None:
        return _Pattern("", "*", network=network)
    match = _HOST_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"must be a URL prefix such as https://api.example.com/, a host pattern such as *.example.com "
            f"or 10.0.0.5:6379, or a network such as 10.0.0.0/8 (got {quoted(text)})"
        )
    return _Pattern(match[1].strip("[]").lower(), match[2] or "*")


def target_key(target: str, prober: str = "") -> Place | None:
    """Return what `target` means, for comparing; None where it means nothing.

    `prober` tells how to read a target without a scheme; without it the target's own scheme does.
    """
    found = PROBERS.get(prober) if prober else BY_SCHEME.get(target.partition("://")[0].lower())
    try:
        return (found or PROBERS["tcp"]).place(target)
    except TargetError:
        return None


def _is_below(path: str, prefix: str) -> bool:
    """Say whether `path` is `prefix` or below it; a path that climbs is below nothing but the root."""
    if ".." in re.split(r"[/\\]|%2[fF]|%5[cC]", path.replace("%2e", ".").replace("%2E", ".")):
        return prefix in ("", "/")
    if not path.startswith(prefix):
        return False
    return prefix.endswith("/") or path[len(prefix) :][:1] in ("", "/", "?")
