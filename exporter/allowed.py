"""Which targets /probe serves: those of the file, and what `probe_targets` adds. Against SSRF."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exporter.probers import BY_SCHEME, PROBERS
from exporter.probers.prober import Place
from exporter.target import TargetError, parse_host_target, parse_web_target

_HOST_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.*?]+\]|[^\s/:@\[\]]+)(?::(\d{1,5}|\*))?")


@dataclass(frozen=True)
class _Pattern:
    """One entry of `probe_targets`."""

    host: str
    port: str
    scheme: str | None = None
    path: str = ""

    def allows(self, key: Place) -> bool:
        host, port, scheme, path = key
        if self.scheme is not None:
            same = (scheme, host, str(port)) == (self.scheme, self.host, self.port)
            return same and _is_below(path, self.path)
        return fnmatchcase(host, self.host) and (self.port == "*" or self.port == str(port))


class AllowedTargets:
    """Answers whether a target may be probed on demand. Raises ValueError for a wrong pattern."""

    def __init__(self, listed: Iterable[str], patterns: Iterable[str]) -> None:
        self._listed = frozenset(key for target in listed if (key := target_key(target)))
        self._patterns = tuple(parse_pattern(pattern) for pattern in patterns)

    def allows(self, target: str, prober: str) -> bool:
        """Say whether `prober` may be pointed at `target`; what cannot be read is not allowed."""
        key = target_key(target, prober)
        if key is None:
            return False
        return key in self._listed or any(pattern.allows(key) for pattern in self._patterns)


def parse_pattern(text: str) -> _Pattern:
    """Read a URL prefix (`https://api.example.com/v1`) or a host pattern (`*.example.com`, `10.0.0.1:22`).

    Raises ValueError with the mend.
    """
    if text.startswith(("http://", "https://")):
        web = parse_web_target(text)
        return _Pattern(web.host, str(web.port), web.scheme, web.path)
    if text.startswith("tcp://"):
        host = parse_host_target(text)
        return _Pattern(host.host, str(host.port))
    match = _HOST_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"must be a URL prefix such as https://api.example.com/ or a host pattern such as *.example.com "
            f"or 10.0.0.5:6379 (got {text!r})"
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
