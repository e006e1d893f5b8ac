"""A `web-config.yml` while a service runs: read again when it changes, all or nothing."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.allowance import Allowance
from core.faults import ConfigError
from core.files_watch import FileWatcher
from core.logs import fields
from core.web.config import WebConfig, read_web_config
from core.web.tls import LiveContext, server_context
from core.web.users import Users

_log = logging.getLogger(__name__)

FORBIDDEN = "Forbidden: client_allowed_sans lacks your certificate\n"
"""The answer, with 403, to a client whose certificate the rules do not know."""


@dataclass(frozen=True)
class WebRules:
    """What holds for a request."""

    config: WebConfig
    users: Users
    allowance: Allowance
    """Of requests; not to be asked by two threads at once."""

    def knows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Say whether `client_allowed_sans` has a name of a client's certificate, as ssl tells it."""
        allowed = self.config.tls_server_config.client_allowed_sans
        names = {str(name[1]) for name in (certificate or {}).get("subjectAltName", ())}
        return not allowed or not names.isdisjoint(allowed)

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every answer."""
        return {name: value for name, value in self.config.http_server_config.headers.items() if value}


class LiveWebConfig:
    """What a `web-config.yml` asks for now; without a file, nothing. Raises ConfigError.

    One thread calls `look`; what it found is swapped in whole, for any thread to see.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        config, context = _read(path) if path else (WebConfig(), None)
        self.rules = WebRules(config, Users(config.basic_auth_users), _allowance(config))
        self.tls = LiveContext.around(context) if context else None
        """For the sockets; its certificates change while it serves."""
        self.successful = True
        """Whether the last reading was."""
        self._refused = ""
        """What was wrong with the file when it was last read."""
        self._watcher = FileWatcher(self._files())

    def __bool__(self) -> bool:
        return self.path is not None

    def look(self) -> None:
        """Read the file again where it or a file that it names changed."""
        # A refused file may wait for one that nobody watches yet, such as a certificate it names.
        if self._watcher.changed() or self._refused:
            self.reload()

    def reload(self) -> None:
        """Take up what the file says now; where it cannot be used, all stays as it was."""
        if self.path is None:
            return
        try:
            config, context = _read(self.path)
        except ConfigError as error:
            self._refuse(error)
        else:
            self._take_up(config, context)

    def _refuse(self, error: ConfigError) -> None:
        self.successful = False
        if str(error) != self._refused:
            _log.warning(
                "web configuration refused; the old one holds",
                extra=fields(file=self.path, faults=len(error.faults), first=str(error.faults[0])),
            )
        self._refused = str(error)

    def _take_up(self, config: WebConfig, context: ssl.SSLContext | None) -> None:
        if (context is None) != (self.tls is None):
            _log.warning("TLS is turned on or off by a restart only", extra=fields(file=self.path))
        elif self.tls is not None and context is not None:
            self.tls.current = context
        before = self.rules
        same = config.rate_limit == before.config.rate_limit
        allowance = before.allowance if same else _allowance(config)
        self.rules = WebRules(config, Users(config.basic_auth_users, before.users), allowance)
        self._refused, self.successful = "", True
        self._watcher.watch(self._files())
        _log.info("web configuration taken up", extra=fields(file=self.path))

    def _files(self) -> list[Path]:
        return [self.path, *self.rules.config.tls_server_config.files] if self.path else []


def _allowance(config: WebConfig) -> Allowance:
    return Allowance(config.rate_limit.burst, config.rate_limit.interval)


def _read(path: Path) -> tuple[WebConfig, ssl.SSLContext | None]:
    config = read_web_config(path)
    tls = config.tls_server_config
    return config, server_context(tls, path.name) if tls.enabled else None
