"""The keys of a heartbeat site, read and checked."""

import re
from collections.abc import Iterator
from pathlib import Path

from core.faults import ConfigError, Fault
from core.secrets import Secret, read_secret_file
from core.sites import Document, Site
from exporter.probers.heartbeat import HEARTBEAT, name_of
from exporter.site_options import SiteOptions
from exporter.target import TargetError
from exporter.watched import Heartbeat

LONGEST_DEFAULT_GRACE = 3600.0
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_KEYS = ("every", "grace", "token_file")


def is_heartbeat(options: SiteOptions) -> bool:
    """Say whether a site is heard, not probed."""
    return options.url.partition("://")[0].lower() in HEARTBEAT.schemes


def heartbeat_of(site: Site, document: Document) -> Heartbeat | None:
    """Return what the file says of a site's heartbeat. Raises ConfigError when its token cannot be read."""
    options = site.part(SiteOptions)
    if not is_heartbeat(options) or options.every is None:
        return None
    grace = options.grace if options.grace is not None else min(LONGEST_DEFAULT_GRACE, options.every)
    path = token_path(site, document)
    return Heartbeat(name_of(options.url), options.every, grace, _token(path) if path else None)


def token_path(site: Site, document: Document) -> Path | None:
    """Return the file with the token of a site's heartbeat, None where it has none of its own."""
    file = site.part(SiteOptions).token_file
    return document.folder / file if file else None


def unreadable_tokens(document: Document) -> Iterator[tuple[Fault, Path]]:
    """Tell which files with tokens cannot be read, or hold none."""
    for site in document.sites:
        path = token_path(site, document)
        if path is None:
            continue
        try:
            _token(path)
        except ConfigError as error:
            yield document.fault(site, "token_file", f"{path}: {error.faults[0].message}"), path


def faults_of_heartbeats(document: Document) -> Iterator[Fault]:
    """Tell what does not fit together at heartbeat sites."""
    seen: dict[str, Site] = {}
    for site in document.sites:
        options = site.part(SiteOptions)
        if not is_heartbeat(options):
            for key in _KEYS:
                if getattr(options, key) is not None:
                    yield document.fault(site, key, "is for a site with url: heartbeat://NAME only")
            continue
        if options.every is None:
            yield document.fault(
                site, "every", "is missing: how often its job says that it succeeded, e.g. 1d"
            )
        try:
            name = name_of(options.url)
        except TargetError:
            continue  # told of the url
        if (other := seen.setdefault(name, site)) is not site:
            yield document.fault(site, "url", f"is that of {other.name}: give each job a name of its own")


def _token(path: Path) -> Secret:
    """Read a token. Raises ConfigError."""
    token = read_secret_file(path)
    if not _TOKEN.fullmatch(token.reveal()):
        raise ConfigError.single(
            str(path),
            "",
            "must hold one token of 16 to 200 letters, digits, '-' and '_' (openssl rand -hex 16)",
        )
    return token
