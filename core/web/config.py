"""`web-config.yml` of Prometheus's exporter-toolkit: TLS, passwords, headers and a limit of requests."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from core.durations import Duration
from core.faults import ConfigError, Fault, quoted
from core.secrets import Secret
from core.sites import Options
from core.sites.validate import validate
from core.sites.yaml_file import read_yaml
from core.web.users import hash_fault

_FIXED_HEADERS = {"X-Content-Type-Options": ("nosniff",), "X-Frame-Options": ("deny", "sameorigin")}
_FREE_HEADERS = ("Strict-Transport-Security", "X-XSS-Protection", "Content-Security-Policy")
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_REQUIRED = "RequireAndVerifyClientCert"

TLSVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class TLSServer(Options):
    """`tls_server_config`: the certificate, and which clients may come."""

    cert: str = ""
    key: Secret | None = None
    client_ca: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    client_auth_type: str = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    min_version: TLSVersion = "TLS12"
    max_version: TLSVersion = "TLS13"
    prefer_server_cipher_suites: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that it names."""
        return tuple(file for file in (self.cert_file, self.key_file, self.client_ca_file) if file)

    @property
    def enabled(self) -> bool:
        """Say whether TLS is spoken."""
        asked = (self.cert, self.key, self.client_ca, self.client_auth_type not in ("", "NoClientCert"))
        return any(asked) or bool(self.files)

    @model_validator(mode="after")
    def _whole(self) -> "TLSServer":
        if not self.enabled:
            return self
        for name in ("cert", "key", "client_ca"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"has {name} and {name}_file: keep one of them")
        for name in ("cert", "key"):
            if not getattr(self, name) and not getattr(self, f"{name}_file"):
                raise ValueError(f"needs {name}_file")
        if self.min_version > self.max_version:
            raise ValueError(f"min_version must not be above max_version ({self.max_version})")
        self._check_clients()
        return self

    def _check_clients(self) -> None:
        kind, trusted = self.client_auth_type, bool(self.client_ca or self.client_ca_file)
        if kind in _UNVERIFIED:
            raise ValueError(f"client_auth_type {kind} checks nobody: use {_REQUIRED}")
        if kind not in ("", "NoClientCert", "VerifyClientCertIfGiven", _REQUIRED):
            known = f"NoClientCert, VerifyClientCertIfGiven or {_REQUIRED}"
            raise ValueError(f"client_auth_type must be {known} (got {quoted(kind)})")
        if trusted and kind in ("", "NoClientCert"):
            raise ValueError(f"client_ca_file checks nobody without client_auth_type: {_REQUIRED}")
        if not trusted and kind not in ("", "NoClientCert"):
            raise ValueError(f"client_auth_type {kind} needs client_ca_file")
        if self.client_allowed_sans and kind != _REQUIRED:
            raise ValueError(f"client_allowed_sans needs client_auth_type: {_REQUIRED}")
        if len(self.curve_preferences) > 1:
            raise ValueError("curve_preferences may name one curve only: leave it out for all")


class HTTPServer(Options):
    """`http_server_config`: headers of every answer. HTTP/1.1 is spoken whatever `http2` says."""

    http2: bool = True
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_headers(self) -> "HTTPServer":
        for name, value in self.headers.items():
            known = _FIXED_HEADERS.get(name)
            if known is None and name not in _FREE_HEADERS:
                allowed = ", ".join((*_FIXED_HEADERS, *_FREE_HEADERS))
                raise ValueError(f"the header {name} cannot be set here (these can: {allowed})")
            if known is not None and value not in known:
                raise ValueError(f"the header {name} must be {' or '.join(known)} (got {quoted(value)})")
            if not value.isprintable():
                raise ValueError(f"the header {name} holds a line break")
        return self


class RateLimit(Options):
    """`rate_limit`: a bucket of `burst` requests, filled by one every `interval`; no interval: no limit."""

    interval: Duration = 0.0
    burst: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _some(self) -> "RateLimit":
        if self.interval and not self.burst:
            raise ValueError("burst must be at least 1, or every request is refused")
        return self


def _hash(value: Secret) -> Secret:
    if fault := hash_fault(value):
        raise ValueError(fault)
    return value


class WebConfig(Options):
    """The whole file."""

    tls_server_config: TLSServer = TLSServer()
    http_server_config: HTTPServer = HTTPServer()
    basic_auth_users: dict[str, Annotated[Secret, AfterValidator(_hash)]] = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()


def read_web_config(path: Path) -> WebConfig:
    """Return what `path` says, relative paths from its own folder.

    Raises ConfigError with every fault.
    """
    raw = read_yaml(path, path.name)
    if raw is None:
        return WebConfig()
    if not isinstance(raw, dict):
        raise ConfigError.single(path.name, "", "must be a mapping, such as tls_server_config: {…}")
    given = {key: {} if value is None else value for key, value in raw.items()}
    found, faults = validate(WebConfig, given, path.name, "")
    if found is None:
        raise ConfigError(faults)
    rooted = _rooted(found, path.parent)
    if unreadable := [fault for file in rooted.tls_server_config.files if (fault := _unreadable(path, file))]:
        raise ConfigError(unreadable)
    return rooted


def _rooted(config: WebConfig, folder: Path) -> WebConfig:
    tls = config.tls_server_config
    names = ("cert_file", "key_file", "client_ca_file")
    files: dict[str, Any] = {name: folder / file for name in names if (file := getattr(tls, name))}
    return config.model_copy(update={"tls_server_config": tls.model_copy(update=files)})


def _unreadable(path: Path, file: Path) -> Fault | None:
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return Fault(path.name, "tls_server_config", f"{file} cannot be read: {error.strerror}")
